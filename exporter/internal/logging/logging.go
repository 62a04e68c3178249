// Package logging writes log/slog records with go-kit/log.
//
// The libraries use slog; go-kit/log gives messages the format of the Prometheus project's exporters: ts, level, msg, and the rest as
// key=value or JSON.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-kit/log"
)

// Formats are the values of --log.format, the default first.
func Formats() []string { return []string{"logfmt", "json"} }

// Levels are the values of --log.level.
func Levels() []string { return []string{"debug", "info", "warn", "error"} }

// New creates a logger that writes whole lines to w. The level must be one of Levels, and the format one of Formats.
func New(w io.Writer, level, format string) *slog.Logger {
	h := handler{to: log.NewLogfmtLogger(log.NewSyncWriter(w))}
	if format == "json" {
		h.to = log.NewJSONLogger(log.NewSyncWriter(w))
	}
	if err := h.least.UnmarshalText([]byte(level)); err != nil {
		panic("logging: " + err.Error())
	}
	return slog.New(&h)
}

// handler is a slog.Handler. go-kit/log has no groups, so a group becomes a prefix: "group.key".
type handler struct {
	to     log.Logger
	least  slog.Level
	prefix string
	bound  []any // keys and values of WithAttrs
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	line := make([]any, 0, 6+len(h.bound)+2*r.NumAttrs())
	if !r.Time.IsZero() {
		line = append(line, "ts", r.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	line = append(line, "level", strings.ToLower(r.Level.String()), "msg", printable(r.Message))
	line = append(line, h.bound...)
	r.Attrs(func(a slog.Attr) bool {
		line = flatten(line, h.prefix, a)
		return true
	})
	return h.to.Log(line...)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.bound = slices.Clone(h.bound)
	for _, a := range attrs {
		with.bound = flatten(with.bound, h.prefix, a)
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix += name + "."
	return &with
}

// flatten appends an attribute as key and value, and a group as the attributes in it.
func flatten(line []any, prefix string, a slog.Attr) []any {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return line // as slog.Handler requires
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			line = flatten(line, prefix, member)
		}
		return line
	}
	value := plain(v)
	if s, ok := value.(string); ok {
		value = printable(s)
	}
	return append(line, prefix+a.Key, value)
}

// printable replaces characters that control a terminal: control characters and bidirectional controls. Messages also contain data
// from outside. White space stays, because the encoders escape it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) || r == '\u0085' || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// plain converts a value for the encoders, which drop lists, maps and structs.
func plain(v slog.Value) any {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().UTC().Format(time.RFC3339Nano)
	case slog.KindDuration:
		return v.Duration().String()
	case slog.KindAny:
		// fmt handles methods that panic and nil pointers; the encoders do not.
		if x := v.Any(); x != nil {
			return fmt.Sprintf("%+v", x)
		}
	}
	return v.Any()
}
