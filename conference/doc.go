// Package conference lets calls be together: in a [Room], where all hear and see each
// other, or at a [Show], where one is heard and seen by many. It is what applications
// with several callers are made of; who meets whom is for them to say.
//
//	r := conference.NewRoom()
//	defer r.Close()
//	s.Handle("/offer", parley.HandlerFunc(r.Join))
//
// Telephones and browsers meet, whatever codecs they have that this program can encode:
// for Opus it imports codec/opus/libopus.
package conference
