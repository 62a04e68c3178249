// The texts that a person meets, taken from the program, and whether docs/troubleshooting.md has them.

package exporter_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// notMet are functions whose arguments are no messages: log messages below a warning, help texts, headers, patterns.
var notMet = []string{"Info", "Debug", "Flag", "New", "MustCompile", "panic", "Set", "Add", "Fprint"}

// notTexts are literals that look like messages and are none.
var notTexts = []string{
	"default-src 'none'", "setTimeout(function", // of the page
	"max by (currency)", "(coingecko_last_success_timestamp_seconds", // queries
	"expected argument for flag", "enum value must be one of", "unmarshal errors", "invalid port", "too many colons", "missing port", "remote error", // of libraries
	"somewhere else", // a host
}

var (
	twoWords = regexp.MustCompile(`\pL{2,}[,;:.]? [\pL(]`)
	verb     = regexp.MustCompile(`%(?:\.\d+)?[a-z]|\$\d`)
	values   = regexp.MustCompile(`^(?:%[a-z][=:; ]+|%[a-z])+|:? %[a-z]$`) // before and behind a text
)

// literals finds the string literals below a node. Literals that are joined by + are one.
func literals(root ast.Node, found func(string)) {
	var folded func(e ast.Expr) (string, bool)
	folded = func(e ast.Expr) (string, bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			if e.Kind == token.STRING {
				s, err := strconv.Unquote(e.Value)
				return s, err == nil
			}
		case *ast.BinaryExpr:
			a, okA := folded(e.X)
			b, okB := folded(e.Y)
			return a + b, okA && okB && e.Op == token.ADD
		}
		return "", false
	}
	ast.Inspect(root, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec, *ast.Field:
			return false
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
				if x, ok := f.X.(*ast.Ident); ok && x.Name == "errors" { // errors.New
					name = ""
				}
			}
			return !slices.Contains(notMet, name)
		case ast.Expr:
			if s, ok := folded(n); ok {
				found(s)
				return false
			}
		}
		return true
	})
}

// TestTroubleshootingHasEveryText fails if a text of the screen, of the log at level warn or error, of /-/ready, or of an error at start
// is not in docs/troubleshooting.md word for word. Values in it may differ.
func TestTroubleshootingHasEveryText(t *testing.T) {
	texts := map[string]string{} // where each is
	add := func(file, s string) {
		s = values.ReplaceAllString(strings.Trim(s, " ;:,\n"), "")
		if !twoWords.MatchString(s) {
			return
		}
		if slices.ContainsFunc(notTexts, func(other string) bool { return strings.Contains(s, other) }) {
			return
		}
		texts[s] = file
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name := d.Name(); name == "testdata" || name == "simulator" || name == "collector" { // metrics have HELP, and the control endpoints explain themselves
				return fs.SkipDir
			}
		case strings.HasSuffix(path, "_test.go"):
		case strings.HasSuffix(path, ".go"):
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n.(type) {
				case *ast.FuncDecl, *ast.ValueSpec:
					literals(n, func(s string) { add(path, s) })
					return false
				}
				return true
			})
		case strings.HasSuffix(path, ".html"):
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			page := regexp.MustCompile(`(?s)\{\{.*?\}\}|<[^>]*>`).ReplaceAllString(string(b), "\n")
			for line := range strings.Lines(page) {
				add(path, line)
			}
		case strings.HasSuffix(path, ".js"):
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range regexp.MustCompile(`'([A-Z][^'\n]*)'`).FindAllStringSubmatch(string(b), -1) {
				add(path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	document := strings.Join(strings.Fields(strings.NewReplacer("`", "", `\|`, "|").Replace(string(b))), " ")
	for _, s := range slices.Sorted(maps.Keys(texts)) {
		var pattern []string
		for _, part := range verb.Split(strings.Join(strings.Fields(strings.ReplaceAll(s, "%%", "%")), " "), -1) {
			pattern = append(pattern, regexp.QuoteMeta(part))
		}
		if !regexp.MustCompile(strings.Join(pattern, "[^|]{1,100}?")).MatchString(document) {
			t.Errorf("%s: docs/troubleshooting.md does not have %q", texts[s], s)
		}
	}
	t.Logf("%d texts", len(texts))
}
