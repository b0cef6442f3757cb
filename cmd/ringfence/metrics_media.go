package main

import (
	"bytes"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/b2bua/record"
	"github.com/ringfence/ringfence/b2bua/trace"
)

// mediaMetrics count what the edge and those who attend calls do.
type mediaMetrics struct {
	messages *prometheus.CounterVec // way: in, out; kind: a method, or 1xx to 6xx
	mos      prometheus.Histogram
	loss     prometheus.Histogram
	jitter   prometheus.Histogram
	rtt      prometheus.Histogram
	packets  *prometheus.CounterVec // what: received, lost
}

func newMediaMetrics(reg *prometheus.Registry) *mediaMetrics {
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	m := &mediaMetrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringfence_sip_messages_total",
			Help: "SIP messages that passed the fence or were sent, by way and by method or class of status."}, []string{"way", "kind"}),
		mos:    histogram("ringfence_leg_mos", "Estimated MOS of what we heard, of legs that ended (ITU-T G.107).", 1, 2, 2.5, 3, 3.5, 3.8, 4, 4.2, 4.4),
		loss:   histogram("ringfence_leg_loss_ratio", "Share of packets to us that were missing, of legs that ended.", 0, .001, .005, .01, .02, .05, .1, .2),
		jitter: histogram("ringfence_leg_jitter_seconds", "Interarrival jitter at the end of legs.", .001, .005, .01, .02, .03, .05, .1),
		rtt:    histogram("ringfence_leg_rtt_seconds", "Round trip at the end of legs, where RTCP told it.", .01, .02, .05, .1, .15, .3, .6),
		packets: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringfence_rtp_packets_total",
			Help: "RTP packets of legs that ended."}, []string{"what"}),
	}
	reg.MustRegister(m.messages, m.mos, m.loss, m.jitter, m.rtt, m.packets)
	return m
}

// sipMethods are the values of kind beside the classes of status.
var sipMethods = []string{"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "REGISTER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PUBLISH"}

// message counts one message of the wire.
func (m *mediaMetrics) message(w trace.Message) {
	way := "out"
	if w.Received {
		way = "in"
	}
	line, _, _ := bytes.Cut(w.Raw[:min(len(w.Raw), 256)], []byte(" "))
	kind := "other"
	if bytes.Equal(line, []byte("SIP/2.0")) {
		if len(w.Raw) > 8 && w.Raw[8] >= '1' && w.Raw[8] <= '6' {
			kind = string(w.Raw[8]) + "xx"
		}
	} else {
		for _, name := range sipMethods {
			if strings.EqualFold(name, string(line)) {
				kind = strings.ToLower(name)
			}
		}
		if kind == "other" {
			return // a keep-alive
		}
	}
	m.messages.WithLabelValues(way, kind).Inc()
}

// measured counts a leg that ended.
func (m *mediaMetrics) measured(t trace.Totals) {
	m.packets.WithLabelValues("received").Add(float64(t.Received))
	m.packets.WithLabelValues("lost").Add(float64(t.Lost))
	if t.Received == 0 {
		return
	}
	m.mos.Observe(t.MOS)
	m.loss.Observe(float64(t.Lost) / float64(t.Received+t.Lost))
	m.jitter.Observe(t.Jitter.Seconds())
	if t.RTT > 0 {
		m.rtt.Observe(t.RTT.Seconds())
	}
}

// attending shows the figures of recorder and capture server.
func (m *metrics) attending(counts func() record.Counts, hep *trace.HEP) {
	gauge := func(name, help string, f func() int64) {
		m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	counter := func(name, help string, labels prometheus.Labels, f func() int64) {
		m.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(f()) }))
	}
	gauge("ringfence_recordings_live", "Recordings in the making.", func() int64 { return counts().Live })
	const ended = "ringfence_recordings_total"
	counter(ended, "Recordings by what became of them.", prometheus.Labels{"state": "kept"}, func() int64 { return counts().Kept })
	counter(ended, "Recordings by what became of them.", prometheus.Labels{"state": "partial"}, func() int64 { return counts().Partial })
	counter(ended, "Recordings by what became of them.", prometheus.Labels{"state": "refused"}, func() int64 { return counts().Refused })
	counter("ringfence_recording_lost_blocks_total", "Stretches of 20 ms that were lost because the disk was too slow.", nil, func() int64 { return counts().LostBlocks })
	hepCount := func(want int) func() int64 {
		return func() int64 {
			if hep == nil {
				return 0
			}
			sent, dropped := hep.Counts()
			return [2]int64{sent, dropped}[want]
		}
	}
	counter("ringfence_hep_messages_total", "Copies for the capture server.", prometheus.Labels{"result": "sent"}, hepCount(0))
	counter("ringfence_hep_messages_total", "Copies for the capture server.", prometheus.Labels{"result": "dropped"}, hepCount(1))
}
