// Variables and flags that do not exist, and which one was probably meant.

package exporter

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/alecthomas/kingpin/v2"
)

// serviceVariable matches variables that Kubernetes sets for a Service, in addition to <service>_SERVICE_HOST.
var serviceVariable = regexp.MustCompile(`^(COINGECKO_EXPORTER(?:_[A-Z0-9_]+?)?)_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)?)$`)

// unknownVariables returns warnings about variables that look like settings but are not.
func (s *settings) unknownVariables(flags []*kingpin.FlagModel) []string {
	env := s.environment
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
