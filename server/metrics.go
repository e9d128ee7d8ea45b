package server

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parley-media/parley"
)

// metrics are what is counted of all calls, those that have ended too. Each label
// has few values, whatever clients and applications do.
type metrics struct {
	server *Server

	made      prometheus.Counter
	ends      *prometheus.CounterVec // by reason
	refused   *prometheus.CounterVec // by status
	full      *prometheus.CounterVec // of these, by reason
	connect   prometheus.Histogram
	media     prometheus.Histogram
	duration  prometheus.Histogram
	packets   *prometheus.CounterVec // by media and direction
	bytes     *prometheus.CounterVec
	lost      *prometheus.CounterVec
	drops     *prometheus.CounterVec // by media and reason
	concealed prometheus.Counter
	queue     prometheus.Histogram
	buffer    prometheus.Histogram
	roundTrip prometheus.Histogram
	reply     prometheus.Histogram
	loss      *prometheus.HistogramVec // by direction

	calls   *prometheus.Desc
	sockets *prometheus.Desc
	stuck   *prometheus.Desc
	runs    *prometheus.Desc
	late    *prometheus.Desc
	behind  *prometheus.Desc
}

func newMetrics(s *Server) *metrics {
	const ns = "parley"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Name: name, Help: help, Buckets: buckets})
	}
	delays := []float64{.005, .01, .02, .03, .04, .06, .08, .1, .15, .2, .3, .5, 1, 2}
	waits := []float64{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10, 15, 30}
	return &metrics{
		server:    s,
		made:      counter("calls_made_total", "Calls whose offer was answered."),
		ends:      counters("call_ends_total", "Calls that have ended, by reason.", "reason"),
		refused:   counters("refused_offers_total", "Offers for calls that were refused, by HTTP status.", "status"),
		full:      counters("refused_calls_total", "Calls that were refused because there was no room for more, by reason: all calls taken, work for calls too late, shutdown.", "reason"),
		connect:   histogram("connect_seconds", "Time from the offer to the connection.", waits...),
		media:     histogram("first_media_seconds", "Time from the offer to the first packet of media.", waits...),
		duration:  histogram("call_duration_seconds", "Time from the offer to the end of a call.", 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200),
		packets:   counters("packets_total", "RTP packets of media.", "media", "direction"),
		bytes:     counters("bytes_total", "Payload bytes of media.", "media", "direction"),
		lost:      counters("lost_packets_total", "Packets that did not arrive, here (in) or by report of the far end (out).", "media", "direction"),
		drops:     counters("drops_total", "What came or should have gone and was dropped, by reason.", "media", "reason"),
		concealed: counter("concealed_seconds_total", "Audio that was made up in the place of lost media."),
		queue:     histogram("queue_delay_seconds", "Audio that waits to be sent, looked at every five seconds of each call.", delays...),
		buffer:    histogram("jitter_buffer_delay_seconds", "Time of audio from arrival to playout, looked at every five seconds of each call.", delays...),
		roundTrip: histogram("round_trip_seconds", "Round trip by reports of the far end, looked at every five seconds of each call.", delays...),
		reply: histogram("reply_seconds", "Time from the last sound of what a caller said to the first sound of the answer.",
			.1, .2, .3, .4, .5, .6, .7, .8, .9, 1, 1.25, 1.5, 2, 3, 5, 10, 30),
		loss: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: ns, Name: "loss_ratio", Help: "Part of the packets that was lost in five seconds of a call, here (in) or by report of the far end (out).",
			Buckets: []float64{0, .001, .005, .01, .02, .05, .1, .2, .5},
		}, []string{"direction"}),
		calls:   prometheus.NewDesc("parley_calls", "Calls that there are, by state.", []string{"state"}, nil),
		sockets: prometheus.NewDesc("parley_websockets", "WebSockets that are open for signalling.", nil, nil),
		stuck:   prometheus.NewDesc("parley_stuck_handlers_total", "Handlers that went on running after their call had ended.", nil, nil),
		runs:    prometheus.NewDesc("parley_loop_runs", "Runs of the timed work of all calls of the process in the last second.", nil, nil),
		late:    prometheus.NewDesc("parley_loop_late_runs", "Of these, runs that began more than 20 ms late.", nil, nil),
		behind:  prometheus.NewDesc("parley_loop_lateness_seconds", "For how long what is due now has been.", nil, nil),
	}
}

// all are the metrics that keep values.
func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.made, m.ends, m.refused, m.full, m.connect, m.media, m.duration, m.packets, m.bytes, m.lost, m.drops,
		m.concealed, m.queue, m.buffer, m.roundTrip, m.reply, m.loss,
	}
}

// Describe is for the registry.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(ch)
	}
	ch <- m.calls
	ch <- m.sockets
	ch <- m.stuck
	ch <- m.runs
	ch <- m.late
	ch <- m.behind
}

// Collect brings the counters up to now, and passes them on.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	states := map[string]int{"connecting": 0, "connected": 0, "ending": 0}
	s := m.server
	s.mu.Lock()
	sessions := make([]*session, 0, len(s.sessions))
	for _, c := range s.sessions {
		sessions = append(sessions, c)
	}
	states["ending"] = s.calls - len(sessions) // or beginning: what has no session
	sockets, stuck := s.sockets, s.stuck
	s.mu.Unlock()
	for _, c := range sessions {
		connected := m.tally(c)
		switch {
		case c.peer.Err() != nil:
			states["ending"]++
		case connected:
			states["connected"]++
		default:
			states["connecting"]++
		}
	}
	for _, c := range m.all() {
		c.Collect(ch)
	}
	for state, n := range states {
		ch <- prometheus.MustNewConstMetric(m.calls, prometheus.GaugeValue, float64(n), state)
	}
	ch <- prometheus.MustNewConstMetric(m.sockets, prometheus.GaugeValue, float64(sockets))
	ch <- prometheus.MustNewConstMetric(m.stuck, prometheus.CounterValue, float64(stuck))
	load := s.load()
	ch <- prometheus.MustNewConstMetric(m.runs, prometheus.GaugeValue, float64(load.Runs))
	ch <- prometheus.MustNewConstMetric(m.late, prometheus.GaugeValue, float64(load.Late))
	ch <- prometheus.MustNewConstMetric(m.behind, prometheus.GaugeValue, load.Lateness.Seconds())
}

// Metrics returns a handler for Prometheus, which shows what the calls of this
// server are like: how many, how soon they connect, how they sound, why they end.
// It asks nobody for a token; see [Server.Authorized].
func (s *Server) Metrics() http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.metrics)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
}

// Authorized returns h for those only whom Authorize of [Config] lets in.
func (s *Server) Authorized(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := s.authorize(r); no != nil {
			no.write(w)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// reasons are the ones that the metrics know by name.
var reasons = []parley.Reason{
	parley.Closed, parley.Finished, parley.Failed, parley.Canceled, parley.Bye, parley.Disconnected, parley.NotConnected,
	parley.NoMedia, parley.Silent, parley.Panicked, TimeUp,
}

// ended counts the end of a call.
func (m *metrics) ended(end *parley.EndError) {
	reason := "other"
	if end != nil && slices.Contains(reasons, end.Reason) {
		reason = string(end.Reason)
	}
	m.ends.WithLabelValues(reason).Inc()
}

func (m *metrics) refuse(no *refusal) {
	m.refused.WithLabelValues(strconv.Itoa(no.status)).Inc()
}
