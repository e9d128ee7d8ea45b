# Parley. "make test" installs what the tests need and runs all of them, in a quarter
# of an hour on two idle cores. "go test ./..." needs only Go.

GOFUMPT     = go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: test tools check unit race interop browsers others soak

test:
	$(MAKE) -j2 tools check
	$(MAKE) race interop

# Debian packages of the programs that the interop tests talk to.
tools:
	scripts/install-test-tools

# Without cgo, as most tests are, so that what is compiled for this is there for them.
check: export CGO_ENABLED = 0
check:
	@unformatted=$$($(GOFUMPT) -l .); test -z "$$unformatted" || { echo "gofumpt would change:"; echo "$$unformatted"; exit 1; }
	go vet -tags interop,soak ./...
	GOARCH=386 go vet -tags interop,soak ./...
	$(STATICCHECK) -tags interop,soak ./...

unit:
	CGO_ENABLED=0 go build ./...
	CGO_ENABLED=0 go test ./...

# Packages of signal processing and of state machines that own no goroutine are left to
# "interop", and so is what measures; stream, which is one of them, is tested before all.
# What is there for Linux alone has another way, the portable one, which "soak" tests as a
# whole. Most of these tests wait, so three packages share two cores.
PURE = audio/[a-z]*|codec/g711|codec/g722|codec/l16|dtmf|payload|jitter|rtcpctl|internal/bench|internal/quality|internal/speech|internal/bits
race:
	CGO_ENABLED=0 scripts/go-test ./stream
	CGO_ENABLED=1 scripts/go-test -race -p 3 $$(go list ./... | grep -vE '/parley/($(PURE)|stream)$$')
	CGO_ENABLED=1 scripts/go-test -race -tags portable -run 'Attack|Flood|Forward|Latch|Receive|Trouble' ./transport ./session

# The tests with other programs, and of the packages that "race" has tested only those.
# They measure tones and times, so they are a few at a time, since they share two cores:
# three of most that have browsers beside two packages of the others. Screenshots and what
# failing tests leave behind go to artifacts/.
BROWSERS = ./peer ./server ./apps/...
INTEROP  = CGO_ENABLED=0 scripts/go-test -tags interop -timeout 12m -artifacts -outputdir $(CURDIR)/artifacts
interop:
	mkdir -p artifacts
	CGO_ENABLED=0 go build ./...
	$(INTEROP) $$(go list ./... | grep -E '/parley/($(PURE))$$')
	$(MAKE) -j2 --output-sync=target browsers others

browsers:
	$(INTEROP) -p 1 -parallel=3 -run "$$(scripts/interop-tests $(BROWSERS))" $(BROWSERS)

others: OTHERS = $$(go list ./... | grep -vE '/parley/($(PURE))$$' | grep -vxF "$$(go list $(BROWSERS))")
others:
	$(INTEROP) -p 2 -run "$$(scripts/interop-tests $(OTHERS))" $(OTHERS)

# What takes longer than "make test" may, or needs an idle machine: a call of a
# simulated day, 60 000 calls that come and go, a thousand calls for ten minutes, an
# echo of ten minutes, bad networks beside Chromium and GStreamer, films of five
# minutes, video in layers, and every fuzz target for FUZZTIME.
FUZZTIME = 60s
soak: tools
	go test -tags portable ./transport ./session
	go test -tags soak -v -run Soak -timeout 40m ./stream ./session ./internal/bench
	go test -tags 'interop soak' -v -run Live -timeout 60m ./cmd/parley ./peer
	scripts/fuzz $(FUZZTIME)
