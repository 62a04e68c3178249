// Errors about flags and variables: they name the one that was set, show its value without secrets, and give an example.

package exporter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"
)

// examples are valid values by flag, for errors.
var examples = map[string]string{
	"web.systemd-socket":           "true",
	"web.listen-address":           ":9880",
	"web.config.file":              "web.yml",
	"web.telemetry-path":           "/metrics",
	"web.max-requests":             "40",
	"web.max-connections":          "500",
	"web.external-url":             "https://shop.example/rates",
	"web.route-prefix":             "/rates",
	"web.cors.origin":              `https?://(shop|www)\.example`,
	"rates.max-jump":               "1.5",
	"web.disable-exporter-metrics": "true",
	"web.health-listen-address":    ":9881",
	"web.shutdown-delay":           "5s",
	"web.shutdown-timeout":         "10s",
	"coingecko.url":                "https://api.coingecko.com/api/v3",
	"coingecko.plan":               "demo",
	"coingecko.api-key-file":       "/run/secrets/coingecko_api_key",
	"coingecko.http-config-file":   "http.yml",
	"coingecko.interval":           "5m",
	"coingecko.timeout":            "10s",
	"rates.max-age":                "15m",
	"screen.quote":                 "eur",
	"screen.coins":                 "btc,eth",
	"screen.basket":                "49.90eur",
	"screen.thresholds":            "crypto.1h=0.05,btc.24h=0.1",
	"screen.timezone":              "Europe/Madrid",
	"history.prometheus-url":       "http://prometheus:9090",
	"history.selector":             `job="coingecko-exporter"`,
	"simulate":                     "true",
	"health.url":                   "http://rates:9880",
	"log.level":                    "info",
	"log.format":                   "logfmt",
}

// wrong returns an error about the value of a flag. It names the flag or the variable that set it.
func (s *settings) wrong(flag, problem string, args ...any) error {
	value := ""
	if g := s.given[flag]; len(g.values) > 0 {
		value = g.values[len(g.values)-1]
	}
	return s.wrongValue(flag, value, fmt.Sprintf(problem, args...))
}

// wrongValue is wrong for one of a flag's values.
func (s *settings) wrongValue(flag, value, problem string) error {
	return s.wrongExample(flag, value, problem, examples[flag])
}

// wrongExample is wrongValue with an example other than the flag's own.
func (s *settings) wrongExample(flag, value, problem, example string) error {
	name := s.name(flag)
	return fmt.Errorf("%s=%s: %s%s; for example %s", name, shown(value), problem, untidy(value), with(name, example))
}

// untidy returns advice about space, quotes or a byte order mark around a value.
func untidy(value string) string {
	switch first, last := firstAndLast(value); {
	case value == "":
		return ""
	case unicode.IsSpace(first) || unicode.IsSpace(last):
		return "; remove the space around it"
	case strings.ContainsRune(quotes, first) && strings.ContainsRune(quotes, last) && utf8.RuneCountInString(value) > 1:
		return "; remove the quotes around it"
	case first == '\uFEFF':
		return "; remove the byte order mark before it"
	}
	return ""
}

const quotes = "\"'`“”„‘’«»"

func firstAndLast(s string) (first, last rune) {
	first, _ = utf8.DecodeRuneInString(s)
	last, _ = utf8.DecodeLastRuneInString(s)
	return first, last
}

// name returns the flag, or the variable that set it.
func (s *settings) name(flag string) string {
	if g := s.given[flag]; g.name != "" {
		return g.name
	}
	return "--" + flag
}

// with returns a flag or variable with a value, quoted for a shell.
func with(name, value string) string {
	switch {
	case (value == "true" || value == "") && strings.HasPrefix(name, "--"):
		return name
	case strings.ContainsAny(value, "\"(") && strings.HasPrefix(name, "--"): // quoted for a shell
		return name + "='" + value + "'"
	}
	return name + "=" + value
}

var (
	keyInText    = regexp.MustCompile(`(?i)\bCG-[\w-]+`)
	ofFile       = regexp.MustCompile(`^\.{0,2}/[^/]`)
	scheme       = regexp.MustCompile(`^["'\s]*[a-zA-Z]+:/+|^//`)
	inQueries    = regexp.MustCompile(`(?s)[?#][^:].*|[?#]$`) // regular expressions contain ?://
	inParameters = regexp.MustCompile(`(?s)[?&#][\w-]+=.*`)
)

// shown returns a value for use in a one-line error: without passwords, keys and control characters, at most 100 characters long.
func shown(value string) string {
	value = keyInText.ReplaceAllString(value, "<key>")
	if at := strings.LastIndex(value, "@"); at > 0 && !ofFile.MatchString(value) {
		value = scheme.FindString(value[:at]) + "<password>" + value[at:]
	}
	secret := inParameters
	if strings.Contains(value, "//") {
		secret = inQueries
	}
	value = secret.ReplaceAllStringFunc(value, func(s string) string { return s[:1] + "<secret>" })
	if r := []rune(value); len(r) > 100 {
		value = string(r[:100]) + "..."
	}
	plain := func(r rune) bool { return r != '"' && r != '\\' && unicode.IsGraphic(r) && !unicode.IsSpace(r) }
	if value == "" || strings.IndexFunc(value, func(r rune) bool { return !plain(r) }) >= 0 {
		return strconv.Quote(value)
	}
	return value
}

var variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

var unknownFlag = regexp.MustCompile(`^unknown (?:long|short) flag '(-.*)'$`)

// notParsed translates kingpin's errors about arguments.
func notParsed(app *kingpin.Application, args []string, err error) error {
	text := err.Error()
	if m := unknownFlag.FindStringSubmatch(text); m != nil {
		known := []string{}
		for _, arg := range args { // kingpin parses -simulate as -s -i ...
			if strings.HasPrefix(arg, m[1]) && m[1][1] != '-' && len(arg) > 2 {
				m[1], _, _ = strings.Cut(arg, "=")
			}
		}
		for _, f := range app.Model().Flags {
			known = append(known, "--"+f.Name)
		}
		return fmt.Errorf("%s: unknown flag%s", shown(m[1]), nearest(m[1], known))
	}
	if flag, ok := strings.CutPrefix(text, "expected argument for flag '--"); ok {
		flag = strings.TrimSuffix(flag, "'")
		return fmt.Errorf("--%s has no value; for example %s", flag, with("--"+flag, examples[flag]))
	}
	if rest, ok := strings.CutPrefix(text, "unexpected "); ok {
		for _, f := range app.Model().Flags {
			at := slices.Index(args, "--"+f.Name)
			apart := at >= 0 && at+1 < len(args) && args[at+1] == rest
			if _, err := strconv.ParseBool(rest); f.IsBoolFlag() && (slices.Contains(args, "--"+f.Name+"="+rest) || apart && err == nil) {
				return fmt.Errorf("--%s=%s: the flag takes no value; write --%s%s", f.Name, shown(rest), f.Name, orNot(f.Name))
			}
		}
		if name, _, is := strings.Cut(rest, "="); is && variableName.MatchString(name) { // the value may be a secret
			return fmt.Errorf("%s=<value>: set a variable before the command, not after it", name)
		}
		switch {
		case rest == "" && slices.Contains(args, "-"):
			rest = "-"
		case strings.HasPrefix(rest, "-") && slices.Contains(args, "--"):
			return fmt.Errorf("%s: flags after -- are not read; remove the --", shown(rest))
		}
		return fmt.Errorf("%s: unexpected argument; write flags as --flag=value, for example --log.level=info", shown(rest))
	}
	return fmt.Errorf("%s; --help lists the flags", text)
}

// orNot returns how to disable a boolean flag; empty for actions.
func orNot(flag string) string {
	if isAction(flag) {
		return ""
	}
	return ", or --no-" + flag
}

// noValue translates kingpin's errors about a value.
func noValue(f *kingpin.FlagModel, err error) string {
	text := err.Error()
	number, isNumber := errors.AsType[*strconv.NumError](err)
	choices, isChoice := strings.CutPrefix(text, "enum value must be one of ")
	switch {
	case f.IsBoolFlag():
		return "must be true or false"
	case isNumber && errors.Is(number, strconv.ErrRange):
		return "the number is too large"
	case isNumber:
		return "not a number"
	case isChoice:
		choices, _, _ = strings.Cut(choices, ", got")
		return "must be one of " + strings.ReplaceAll(choices, ",", ", ")
	case strings.HasPrefix(text, "time: "):
		return "not a duration; write a number with a unit: ms, s, m, h, d or w"
	}
	return text
}
