package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/data"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/apps/parrot"
	"github.com/parley-media/parley/apps/play"
	"github.com/parley-media/parley/apps/record"
	"github.com/parley-media/parley/apps/relay"
	"github.com/parley-media/parley/apps/room"
	"github.com/parley-media/parley/apps/transform"
	"github.com/parley-media/parley/server"
	"github.com/parley-media/parley/video"
)

// mountApps makes the applications that people can try on the page. film is the
// file to play; "" for none.
func mountApps(s *server.Server, film string, out *output) {
	av, everything := []string{"audio", "video"}, []string{"audio", "video", "data"}
	handle := func(a server.App, h parley.Handler) {
		s.Describe(a)
		s.Handle("/"+a.Path, announced{h, out})
	}
	// Offers for the first one may say "video_transform", as those of aiortc's page do.
	s.Describe(server.App{
		Path: "offer", Name: "Echo", About: "You hear and see yourself, if you like in another way.", Media: everything,
		Options: []server.Option{{Name: "video_transform", Label: "Effect", Values: []string{"none", "edges", "cartoon", "rotate"}}},
	})
	s.HandleOffer("/offer", func(o *server.Offer) (parley.Handler, error) {
		var media parley.Handler = echo.Handler{}
		switch effect := o.Text("video_transform"); effect {
		case "", "none":
		default:
			if _, err := video.NewTransform(effect); err != nil {
				return nil, err
			}
			media = transform.Handler{Effect: effect}
		}
		return announced{data.Handler{Media: media}, out}, nil
	})
	rooms := new(room.Handler)
	s.Describe(server.App{
		Path: "room", Name: "Room", About: "All who are here hear and see each other.", Media: av, Lines: 4,
		Options: []server.Option{{Name: "name", Label: "Name of the room"}},
	})
	s.HandleOffer("/room", func(o *server.Offer) (parley.Handler, error) {
		return announced{rooms.Room(o.Text("name")), out}, nil
	})
	stage := new(relay.Handler)
	handle(server.App{Path: "relay", Name: "Relay", About: "The first one is heard and seen by all who come later.", Media: av}, stage)
	s.HandleWHIP("/whip", announced{stage.Publisher(), out}) // an encoder on the same stage, as OBS
	s.HandleWHEP("/whep", announced{stage.Watcher(), out})
	handle(server.App{Path: "parrot", Name: "Parrot", About: "It says what you said when you pause, and listens when you speak.", Media: av[:1]}, parrot.Handler{})
	handle(server.App{Path: "data", Name: "Data", About: "Messages and files come back.", Media: everything[2:]}, data.Handler{})
	if film != "" {
		handle(server.App{
			Path: "play", Name: "Play", About: "You hear and see a file.", Media: everything, OneWay: true,
			Messages: []string{"pause", "play", "seek 0", "loop on", "loop off", "stop"},
		}, play.Handler{File: film})
	}
}

// mountRecord makes the application that records into a folder, and returns what serves
// the files that are complete. A page gives its recording a name that nobody can guess,
// so who knows the name may have the file.
func mountRecord(s *server.Server, folder string, out *output) http.HandlerFunc {
	errTaken := errors.New("there is a recording of that name")
	var writing sync.Map // by name
	s.Describe(server.App{
		Path: "record", Name: "Record", About: "What you say and show can be downloaded afterwards.",
		Media: []string{"audio", "video"}, Recordings: "recordings/",
	})
	s.HandleOffer("/record", func(o *server.Offer) (parley.Handler, error) {
		name := o.Text("recording")
		if !recordingName.MatchString(name) {
			return nil, errors.New(`the offer needs "recording", a name of 32 hexadecimal digits that nobody can guess`)
		}
		if recordingFile(folder, name) != "" {
			return nil, errTaken
		}
		h := record.Handler{Folder: folder, Name: func(*parley.Call) string { return name }, Done: func(r record.Recording) { notWhole(out, r.Err) }}
		return announced{parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
			if _, twice := writing.LoadOrStore(name, nil); twice {
				return errTaken
			}
			defer writing.Delete(name)
			return h.ServeCall(ctx, c)
		}), out}, nil
	})
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		_, incomplete := writing.Load(name)
		file := recordingFile(folder, name)
		if file == "" || incomplete {
			http.NotFound(w, r)
			return
		}
		if filepath.Ext(file) == ".webm" { // which is for sound alone too, and package mime takes it for that
			w.Header().Set("Content-Type", "video/webm")
		}
		http.ServeFile(w, r, file)
	}
}

var recordingName = regexp.MustCompile(`^[0-9a-f]{32}$`)

// recordingFile returns the file of a recording, or "" if there is none.
func recordingFile(folder, name string) string {
	if !recordingName.MatchString(name) {
		return ""
	}
	for _, extension := range []string{".ogg", ".wav", ".webm", ".mp4", ".mkv"} {
		file := filepath.Join(folder, name+extension)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}
	return ""
}
