// Package page has the web page of the server, on which a person tries each of its
// applications: talks, shows a camera, the screen or a test picture, sends digits,
// messages and files, and sees how the call does. It is plain HTML, CSS and ES
// modules, with no build step and nothing from elsewhere.
//
//	mux.Handle("GET /", http.FileServerFS(page.Files()))
//	mux.Handle("POST /offer", offers)
//
// What the page asks for is relative to its own address, with the token that was
// entered, if any, as "Authorization: Bearer …":
//
//   - GET apps is a list of applications, each with the members "path", "name",
//     "about" and "media" (of "audio", "video" and "data"). It may have "lines",
//     which is how many pictures it sends at a time; "oneway", true if it hears and
//     sees nothing; "options", a list of {"name", "label", "values"} that people
//     choose from, or write if there are no values; "messages", texts that it
//     understands on its data channel; and "recordings", an address below which the
//     recording of a call is found. Without a list there is one application, at
//     "offer".
//   - GET ice-servers is {"iceServers": […]}, or nothing.
//   - POST of {"sdp": …, "type": "offer"} to the path of an application makes a call.
//     The options are further members, and so is "recording", a name that nobody can
//     guess, if there are recordings. The answer is {"sdp": …, "type": "answer"}; the
//     candidates are in both SDPs.
//   - PATCH of the Location of that answer takes further offers and late candidates,
//     and DELETE ends the call. A server that gives no Location has calls that do not
//     change.
//   - A WebSocket at that Location and "/ws", with the token as "access_token", carries
//     offers of the server and their answers, and candidates both ways. Where none gets
//     through, GET of the Location and "/offer" waits for an offer of the server, and
//     PATCH takes the answer. See package server for both.
//   - GET of the recordings and that name is the recording, once it is complete.
//
// A refusal is a status from 400 up with {"error": "why"}, which the page shows. With
// "#room" or "?app=room" in the address of the page that application is chosen, and
// further parameters ("?app=room&name=kitchen") are values of options.
//
// The body of the page carries what tests wait for:
//
//	data-ready        once the applications are known
//	data-app          the path of the one that is chosen
//	data-takes        its media
//	data-phase        idle, asking, connecting, connected, interrupted, ended, failed
//	data-connection   RTCPeerConnection.connectionState, or "none"; data-ice,
//	                  data-gathering and data-signaling have the other states
//	data-codec        what is heard, as in "audio/opus", once it is known
//	data-video-codec  what is seen
//	data-sounds       how many lines of sound of the server are heard
//	data-videos       how many pictures of the server are seen
//	data-pong         the last round trip on the data channel, in milliseconds
package page

import (
	"embed"
	"io/fs"
)

//go:embed index.html style.css favicon.svg *.js
var files embed.FS

// Files returns the files of the page, index.html among them.
func Files() fs.FS { return files }
