// Values of flags and variables, and errors that name them.

package exporter

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agext/levenshtein"
	"github.com/alecthomas/kingpin/v2"
)

var variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// environment is Run's environment.
type environment map[string]string

func newEnvironment(environ []string) environment {
	env := environment{}
	for _, e := range environ {
		k, v, _ := strings.Cut(e, "=")
		env[k] = strings.TrimSpace(v)
	}
	return env
}

// variablePrefix is the prefix of the variables that set flags.
const variablePrefix = "COINGECKO_EXPORTER_"

// variable returns the environment variable that sets a flag.
func variable(flag string) string {
	return variablePrefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(flag))
}

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

// isAction reports whether a flag is an action and not a setting. Variables do not set actions: a container would do nothing
// else, and images may set COINGECKO_EXPORTER_VERSION.
func isAction(flag string) bool {
	switch flag {
	case "help", "version", "config.check", "health.check":
		return true
	}
	return strings.HasPrefix(flag, "help-") || strings.HasPrefix(flag, "completion-")
}

// given is the source of a flag's value.
type given struct {
	name   string   // --coingecko.plan, or COINGECKO_EXPORTER_COINGECKO_PLAN
	values []string // as written
}

// read records what was given, and makes variables the defaults of flags that the arguments do not set. For a repeatable flag,
// each line of the variable is a value. kingpin's own support for variables reads the environment of the process instead of Run's,
// and its errors do not name the flag.
func (s *settings) read(app *kingpin.Application, args []string, env environment) error {
	s.given = map[string]given{}
	context, err := app.ParseContext(args)
	if err != nil {
		return notParsed(app, args, err)
	}
	for _, e := range context.Elements {
		f, ok := e.Clause.(*kingpin.FlagClause)
		if !ok {
			continue
		}
		flag := f.Model()
		g := s.given[flag.Name]
		if len(g.values) > 0 && !isRepeatable(flag) {
			return fmt.Errorf("--%s is set twice; set it once, for example %s", flag.Name, with("--"+flag.Name, examples[flag.Name]))
		}
		s.given[flag.Name] = given{"--" + flag.Name, append(g.values, *e.Value)}
	}
	_, helped := s.given["help"]
	_, versioned := s.given["version"]
	flags := app.Model().Flags
	for _, f := range flags {
		if isAction(f.Name) {
			continue
		}
		v := variable(f.Name)
		app.GetFlag(f.Name).Help(fmt.Sprintf("%s ($%s)", f.Help, v))
		if _, given := s.given[f.Name]; given || helped || versioned || env[v] == "" {
			continue
		}
		values := []string{env[v]}
		if isRepeatable(f) {
			values = slices.DeleteFunc(strings.FieldsFunc(env[v], func(r rune) bool { return r == '\n' || r == '\r' }),
				func(s string) bool { return strings.TrimSpace(s) == "" })
		}
		s.given[f.Name] = given{v, values}
		app.GetFlag(f.Name).Default(values...)
	}
	scratch := newApp(&settings{}) // to validate values
	for _, f := range flags {
		for _, value := range s.given[f.Name].values {
			if err := scratch.GetFlag(f.Name).Model().Value.Set(value); err != nil {
				return s.wrongValue(f.Name, value, noValue(f, err))
			}
		}
	}
	s.unknown = s.unknownVariables(flags, env)
	return nil
}

func isRepeatable(f *kingpin.FlagModel) bool {
	many, ok := f.Value.(interface{ IsCumulative() bool })
	return ok && many.IsCumulative()
}

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
		return "not a duration; write a number with a unit: ms, s, m or h"
	}
	return text
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

// serviceVariable matches variables that Kubernetes sets for a Service, in addition to <service>_SERVICE_HOST.
var serviceVariable = regexp.MustCompile(`^(COINGECKO_EXPORTER(?:_[A-Z0-9_]+?)?)_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)?)$`)

// unknownVariables returns warnings about variables that look like settings but are not.
func (s *settings) unknownVariables(flags []*kingpin.FlagModel, env environment) []string {
	settings := map[string]bool{}
	actions := map[string]string{}
	for _, f := range flags {
		if isAction(f.Name) {
			actions[variable(f.Name)] = "--" + f.Name
		} else {
			settings[variable(f.Name)] = true
		}
	}
	var warnings []string
	for _, v := range slices.Sorted(maps.Keys(env)) {
		switch m := serviceVariable.FindStringSubmatch(v); {
		case settings[v]:
		case m != nil && env[m[1]+"_SERVICE_HOST"] != "":
		case actions[v] != "":
			warnings = append(warnings, fmt.Sprintf("%s is ignored: %s can only be an argument", v, actions[v]))
		case strings.HasPrefix(v, variablePrefix):
			known := append(slices.Sorted(maps.Keys(settings)), keyEnv)
			warnings = append(warnings, fmt.Sprintf("%s is ignored: unknown setting%s", shown(v), nearest(v, known)))
		case keyVariable.MatchString(v) && v != keyEnv:
			if _, given := s.given["coingecko.api-key-file"]; given || env[v] == "" || env[keyEnv] != "" {
				continue // the variable may be meant for another program
			}
			meant := keyEnv
			if strings.HasSuffix(strings.ToUpper(v), "FILE") {
				meant = variable("coingecko.api-key-file")
			}
			warnings = append(warnings, fmt.Sprintf("%s is ignored; did you mean %s?", shown(v), meant))
		default: // export X=..., lower case, hyphens, a letter too few
			likely := separators.Replace(strings.ToUpper(strings.TrimSpace(strings.TrimPrefix(strings.TrimLeft(v, "\uFEFF"), "export "))))
			for _, known := range slices.Sorted(maps.Keys(settings)) {
				if levenshtein.Distance(likely, known, nil) <= 2 && strings.Contains(likely, "EXPORTER") {
					warnings = append(warnings, fmt.Sprintf("%s is ignored; did you mean %s?", shown(v), known))
				}
			}
		}
	}
	return warnings
}

// keyVariable matches names that other programs use for the variable with the key.
var keyVariable = regexp.MustCompile(`(?i)^(?:export )?(?:COINGECKO|CG|X_CG)_?(?:(?:DEMO|PRO|API)_?)*KEY(?:_FILE)?$`)

var separators = strings.NewReplacer(".", "_", "-", "_")

// nearest suggests the known word that was probably meant: one with the same ending, or else one that differs in a few letters.
func nearest(word string, among []string) string {
	canonical := func(s string) string {
		s = separators.Replace(strings.ToUpper(strings.TrimLeft(s, "-")))
		return strings.TrimPrefix(s, variablePrefix)
	}
	w := canonical(word)
	best := ""
	for _, known := range among {
		if strings.HasSuffix(canonical(known), "_"+w) && (best == "" || strings.HasPrefix(canonical(known), "COINGECKO_")) {
			best = known
		}
	}
	if best == "" {
		least := 1 + max(2, len(w)/4)
		for _, known := range among {
			if d := levenshtein.Distance(w, canonical(known), nil); d < least {
				best, least = known, d
			}
		}
	}
	switch {
	case strings.HasSuffix(w, "API_KEY") || w == "KEY" || w == "APIKEY" || w == "COINGECKO_KEY":
		best = "--coingecko.api-key-file"
		if strings.HasPrefix(word, variablePrefix) {
			best = keyEnv
		}
	case w == "PORT" || w == "ADDRESS":
		best = "--web.listen-address"
		if strings.HasPrefix(word, variablePrefix) {
			best = variable("web.listen-address")
		}
	case best == "" && strings.HasPrefix(word, "-"):
		return "; --help lists them"
	case best == "":
		return ""
	}
	return "; did you mean " + best + "?"
}
