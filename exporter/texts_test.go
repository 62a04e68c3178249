// The texts that a person meets, taken from the program, and whether docs/troubleshooting.md has them.

package exporter_test

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notMet are functions whose arguments are no messages: log messages below a warning, help texts, headers, patterns.
var notMet = regexp.MustCompile(`(^|\.)(Info|Debug|Flag|New|MustCompile|panic|Set|Add|Fprint)$`)

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
	ast.Inspect(root, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec, *ast.Field:
			return false
		case *ast.CallExpr:
			name := types.ExprString(n.Fun)
			return name == "errors.New" || !notMet.MatchString(name)
		case *ast.BasicLit, *ast.BinaryExpr:
			v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, types.ExprString(n.(ast.Expr)))
			if err == nil && v.Value != nil && v.Value.Kind() == constant.String {
				found(constant.StringVal(v.Value))
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
			return nil
		case strings.HasSuffix(path, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch filepath.Ext(path) {
		case ".go":
			f, err := parser.ParseFile(token.NewFileSet(), path, b, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			literals(f, func(s string) { add(path, s) })
		case ".html":
			page := regexp.MustCompile(`(?s)\{\{.*?\}\}|<[^>]*>`).ReplaceAllString(string(b), "\n")
			for line := range strings.Lines(page) {
				add(path, line)
			}
		case ".js":
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
