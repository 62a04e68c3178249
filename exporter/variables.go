// Environment variables: each one sets a flag.

package exporter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

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
	return variablePrefix + strings.ToUpper(separators.Replace(flag))
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
func (s *settings) read(app *kingpin.Application, args []string) error {
	env := s.environment
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
	s.unknown = s.unknownVariables(flags)
	return nil
}

func isRepeatable(f *kingpin.FlagModel) bool {
	many, ok := f.Value.(interface{ IsCumulative() bool })
	return ok && many.IsCumulative()
}
