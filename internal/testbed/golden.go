// Generated files that are committed.

package testbed

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files and generated sections anew; read them before you commit them")

// Update reports whether golden files are written instead of compared.
func Update() bool { return *update }

// Golden compares a text with a file, or with -update writes it there.
func Golden(t testing.TB, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs; go test -run %s -update writes it (-want +got):\n%s", file, t.Name(), d)
	}
}

// GoldenSection is Golden for the part of a document between the comments "<!-- name: ... -->" and "<!-- end of name -->".
func GoldenSection(t testing.TB, file, name, got string) {
	t.Helper()
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?s)(<!-- ` + name + `: [^\n]*-->\n).*(<!-- end of ` + name + ` -->)`)
	if !section.Match(document) {
		t.Fatalf("%s has no section %s", file, name)
	}
	Golden(t, file, section.ReplaceAllString(string(document), "${1}"+strings.ReplaceAll(got, "$", "$$")+"${2}"))
}
