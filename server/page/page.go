// Package page has the web page of the server: a person talks, hears themselves
// back and sees how the call does. It is plain HTML, CSS and ES modules, with no
// build step and nothing from elsewhere.
//
//	mux.Handle("GET /", http.FileServerFS(page.Files()))
//	mux.Handle("POST /offer", offers)
//
// The page posts {"sdp": …, "type": "offer"} as JSON to "offer", relative to its
// own address, and takes {"sdp": …, "type": "answer"} back; the candidates are in
// both SDPs. A refusal is a status from 400 up with {"error": "why"}, which the
// page shows. The body of the page carries what tests wait for:
//
//	data-phase       idle, asking, connecting, connected, interrupted, ended, failed
//	data-connection  RTCPeerConnection.connectionState, or "none"
//	data-codec       what is received, as in "audio/opus", once it is known
package page

import (
	"embed"
	"io/fs"
)

//go:embed index.html style.css favicon.svg *.js
var files embed.FS

// Files returns the files of the page, index.html among them.
func Files() fs.FS { return files }
