package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
	"unicode"
)

func logger(level, format string) (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return New(&b, level, format), &b
}

// nest converts prefixes back into groups, for slogtest.
func nest(flat map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range flat {
		at, parts := out, strings.Split(key, ".")
		for _, p := range parts[:len(parts)-1] {
			next, ok := at[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[p] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = v
	}
	if ts, ok := out["ts"]; ok { // go-kit/log's name for it
		out[slog.TimeKey] = ts
	}
	return out
}

// Go's own conformance test of slog handlers. logfmt is another encoder of the same handler; the tests below have it.
func TestHandler(t *testing.T) {
	var b *bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		var l *slog.Logger
		l, b = logger("info", "json")
		return l.Handler()
	}, func(t *testing.T) map[string]any {
		var m map[string]any
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return nest(m)
	})
}

type point struct{ X, Y int }

func TestValues(t *testing.T) {
	for name, tc := range map[string]struct {
		value any
		want  string
	}{
		"text":              {"plain", "v=plain"},
		"words":             {`two "words"`, `v="two \"words\""`},
		"lines":             {"a\nb", `v="a\nb"`},
		"number":            {42, "v=42"},
		"fraction":          {1.5, "v=1.5"},
		"truth":             {true, "v=true"},
		"duration":          {90 * time.Second, "v=1m30s"},
		"time":              {time.Date(2026, 11, 23, 15, 0, 0, 0, time.FixedZone("", 3600)), "v=2026-11-23T14:00:00Z"},
		"error":             {errors.New("no route"), `v="no route"`},
		"stringer":          {netip.MustParseAddr("::1"), "v=::1"},
		"list":              {[]string{"a", "b"}, `v="[a b]"`},
		"map":               {map[string]int{"b": 2, "a": 1}, `v="map[a:1 b:2]"`},
		"struct":            {point{1, 2}, `v="{X:1 Y:2}"`},
		"nil":               {nil, "v=null"},
		"own kind":          {Level("x"), "v=x"},
		"nil error":         {(*broken)(nil), "v=<nil>"},
		"error that panics": {&broken{}, `v="%!v(PANIC=Error method: no text)"`},
		"text that panics":  {wrong("x"), `v="%!v(PANIC=String method: no text)"`},
	} {
		t.Run(name, func(t *testing.T) {
			l, b := logger("info", "logfmt")
			l.Info("m", "v", tc.value)
			if !strings.HasSuffix(b.String(), "level=info msg=m "+tc.want+"\n") {
				t.Errorf("got %q, want it to end with %q", b, tc.want)
			}
		})
	}
}

// broken is an error whose text panics.
type broken struct{ text string }

func (b *broken) Error() string {
	if b.text == "" {
		panic("no text")
	}
	return b.text
}

// wrong cannot be encoded.
type wrong string

func (wrong) String() string               { panic("no text") }
func (wrong) MarshalText() ([]byte, error) { panic("no text") }

// Characters that control a terminal reach no log, neither raw nor after decoding.
func TestNothingForATerminal(t *testing.T) {
	const hostile = "a\x00\x07\x1b[2J\x7f\u0085\u009b31m\u200e\u202e\u2066\u2069z\tb\nc\xff"
	for _, format := range Formats() {
		for _, value := range []any{hostile, errors.New(hostile), []string{hostile}, map[string]string{hostile: hostile}, text{hostile}} {
			l, b := logger("info", format)
			l.With("bound", value).Info(hostile, "v", value, slog.Group("g", "v", value))
			line := b.String()
			if format == "json" {
				var decoded map[string]any
				if err := json.Unmarshal(b.Bytes(), &decoded); err != nil {
					t.Fatal(err)
				}
				line += fmt.Sprint(decoded)
			}
			for _, r := range strings.NewReplacer("\n", "", "\t", "").Replace(line) {
				if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
					t.Errorf("%s: %q in %q", format, r, line)
				}
			}
			if strings.Contains(line, `\u001b`) || strings.Contains(line, `\u0000`) || strings.Count(b.String(), "\n") != 1 {
				t.Errorf("%s: %q", format, line)
			}
		}
	}
}

type text struct{ s string }

// Level is a type of its own over a plain one.
type Level string

func TestForm(t *testing.T) {
	l, b := logger("debug", "logfmt")
	l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("").Warn("Something happened", slog.Group("h", "c", 3), "d", 4)
	_, rest, ok := strings.Cut(b.String(), " ")
	if !ok || rest != "level=warn msg=\"Something happened\" a=1 g.b=2 g.h.c=3 g.d=4\n" {
		t.Errorf("got %q", b)
	}
	var ts string
	fmt.Sscanf(b.String(), "ts=%s", &ts)
	if at, err := time.Parse(time.RFC3339, ts); err != nil || time.Since(at) > time.Minute || at.Location() != time.UTC {
		t.Errorf("ts %q: %v", ts, err)
	}
}

func TestLevels(t *testing.T) {
	for i, level := range Levels() {
		l, b := logger(level, "json")
		l.Debug("m")
		l.Info("m")
		l.Warn("m")
		l.Error("m")
		if got, want := strings.Count(b.String(), "\n"), 4-i; got != want {
			t.Errorf("level %s: %d lines, want %d", level, got, want)
		}
	}
}
