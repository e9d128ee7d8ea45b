// Package bench measures codecs, resamplers, the way of video through sockets, and
// thousands of calls, beside the same work in C, as the commands of "parley bench" print
// it.
//
//	err := bench.Codecs(ctx, bench.Options{}, func(r bench.Row) { fmt.Println(r) })
//
// Times of a shared machine move by a fifth from hour to hour, so that only
// ratios of one run mean something. Each yardstick is a C program, in the folder
// yardstick, which is compiled with "cc -O2" when it is needed and runs as a
// process of its own. It reads the same input as the Go code, and the two take
// turns, round by round. Both count the CPU time of the thread that works
// (elsewhere than on Linux, Go takes the time of the wall). Where the two must
// give the same output, they are compared by a checksum at the end of each round.
//
// [Video] counts the CPU time of whole processes instead, of both ends: on loopback
// whoever sends does the work of the kernel's receiving side too. So do [Calls], with
// whole calls beside bare sockets, and [Ticks], with the clock of calls. [Relay] counts
// the time of relays, each a process of its own, ours too; what sends through them is
// one program in C for all.
//
// [Peers] counts that of one process, in which calls end whose far ends are another:
// plain pion, which is the same for all. Our programs and those that they are measured
// beside take turns of some seconds.
//
// Libraries are linked by the names that they have in Debian 12. What cannot be
// compiled or linked is a row that says what is missing, and not an error.
package bench
