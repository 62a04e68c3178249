// Flags from the environment.

package exporter

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// variable is the environment variable of a flag.
func variable(flag string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name + "_" + flag))
}

var newline = regexp.MustCompile(`\r?\n`)

// readEnvironment makes what the environment says the default of each flag that the arguments do not set. A repeatable flag
// takes a value from each line. kingpin's own way to do this asks the environment of the process, whatever Run was given.
func readEnvironment(app *kingpin.Application, args []string, getenv func(string) string) error {
	given := map[string]bool{}
	context, err := app.ParseContext(args)
	if err != nil {
		return err
	}
	for _, e := range context.Elements {
		if f, ok := e.Clause.(*kingpin.FlagClause); ok {
			given[f.Model().Name] = true
		}
	}
	scratch := newApp(&settings{}) // takes a value for a look at whether it is one
	for _, f := range app.Model().Flags {
		v := variable(f.Name)
		app.GetFlag(f.Name).Help(fmt.Sprintf("%s ($%s)", f.Help, v))
		value := getenv(v)
		if value == "" || given[f.Name] || given["help"] || given["version"] {
			continue
		}
		values := []string{value}
		into := scratch.GetFlag(f.Name).Model().Value
		if many, ok := into.(interface{ IsCumulative() bool }); ok && many.IsCumulative() {
			values = newline.Split(strings.TrimRight(value, "\r\n"), -1)
		}
		for _, value := range values {
			if err := into.Set(value); err != nil {
				return fmt.Errorf("%s=%q: %w", v, value, err)
			}
		}
		app.GetFlag(f.Name).Default(values...)
	}
	return nil
}
