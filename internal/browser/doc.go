// Package browser runs headless browsers in tests: Chromium and Firefox alike
// open a page that does its own measuring and posts the result, and Chromium can
// also be driven by clicks.
//
//	page := browser.NewPage()
//	mux := http.NewServeMux()
//	mux.Handle("/tone/", page)
//	mux.Handle("POST /offer", server)
//	ts := httptest.NewServer(mux)
//	browser.Firefox(t, page.URL(ts.URL, browser.Tone{Codec: "opus"}))
//	heard := page.Wait(t, time.Minute)
//	if math.Abs(heard.PeakHz-440) > 2 { … }
//
// A [Console] is another page, which does step by step what the test says, in
// either browser: it offers and answers, adds and removes lines, and tells what
// it hears and sees.
//
// Each browser has a profile of its own that is thrown away, touches no network
// but the page's host, and is gone with its children when the test ends, or when
// the test process does. A browser that is not installed fails the test.
//
// Limits: the page must come from 127.0.0.1 or https, since audio worklets and
// microphones need a secure context. No browser offers a candidate at 127.0.0.1,
// so the server must be reachable at another address of the machine. Firefox, and
// Chromium when it is [Ungranted], has .local names for candidates, and the server
// sees it as a peer-reflexive candidate (RFC 8445, section 7.3.1.3). Firefox has
// no audio device in a container; its simulated one ticks within about 2 % of real
// time, which [Result.ClockRate] tells.
package browser
