package docs

import (
	"bytes"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// A document is what the checks want to know of a Markdown file.
type document struct {
	anchors []string // of its headings, as GitHub makes them, and of its HTML
	links   []string // and images
	prose   string   // without code, addresses and HTML
}

var (
	htmlAnchor = regexp.MustCompile(`<[a-z]+ [^>]*(?:id|name)="([^"]+)"`)
	htmlLink   = regexp.MustCompile(`<[a-z]+ [^>]*(?:href|src)="([^"]+)"`)
)

func parse(markdown []byte) document {
	var d document
	var prose strings.Builder
	html := func(s string) {
		for _, m := range htmlAnchor.FindAllStringSubmatch(s, -1) {
			d.anchors = append(d.anchors, m[1])
		}
		for _, m := range htmlLink.FindAllStringSubmatch(s, -1) {
			d.links = append(d.links, m[1])
		}
	}
	root := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(markdown))
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			if n.Type() == ast.TypeBlock {
				prose.WriteByte('\n')
			}
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			d.anchors = append(d.anchors, anchor(string(n.Lines().Value(markdown)), d.anchors))
		case *ast.Link:
			d.links = append(d.links, string(n.Destination))
		case *ast.Image:
			d.links = append(d.links, string(n.Destination))
		case *ast.CodeSpan, *ast.AutoLink:
			prose.WriteByte(' ')
			return ast.WalkSkipChildren, nil
		case *ast.RawHTML:
			html(string(n.Segments.Value(markdown)))
		case *ast.HTMLBlock:
			html(string(n.Lines().Value(markdown)))
		case *ast.Text:
			prose.Write(n.Segment.Value(markdown))
			if n.SoftLineBreak() || n.HardLineBreak() {
				prose.WriteByte('\n')
			}
		}
		return ast.WalkContinue, nil
	})
	d.prose = prose.String()
	return d
}

// anchor is GitHub's anchor of a heading: lower case, blanks as hyphens, without punctuation, numbered when there is one already.
func anchor(heading string, taken []string) string {
	base := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
	name := base
	for n := 1; slices.Contains(taken, name); n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	return name
}

// repository lists the files of the repository, folders included, with what is new and not ignored, and reads the documents.
func repository(t *testing.T) (files map[string]bool, documents map[string]document) {
	t.Helper()
	c := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	c.Dir = ".."
	out, err := c.Output()
	if err != nil {
		t.Skipf("not run here: the checks of the documents. To provide it: a git repository (git ls-files: %v)", err)
	}
	files, documents = map[string]bool{}, map[string]document{}
	for _, file := range strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }) {
		if _, err := os.Stat(filepath.Join("..", file)); err != nil {
			continue // removed, and not committed yet
		}
		if path.Ext(file) == ".md" {
			markdown, err := os.ReadFile(filepath.Join("..", file))
			if err != nil {
				t.Fatal(err)
			}
			documents[file] = parse(markdown)
		}
		for ; !files[file]; file = path.Dir(file) {
			files[file] = true
		}
	}
	if len(documents) == 0 {
		t.Fatal("there are no documents")
	}
	return files, documents
}

// own is where GitHub shows this repository's files.
var own = regexp.MustCompile(`^https://github\.com/heycard/coingecko-exporter/(?:blob|tree)/main/`)

// wrong says what is wrong with a link; nothing if it leads somewhere, or out of the repository.
func wrong(from, link string, files map[string]bool, documents map[string]document) string {
	target := from
	var inside string
	switch u, err := url.Parse(link); {
	case err != nil:
		return err.Error()
	case own.MatchString(link):
		target, inside, _ = strings.Cut(own.ReplaceAllString(link, ""), "#")
		target = path.Clean(target)
	case u.Scheme != "" || u.Host != "":
		return ""
	default:
		inside = u.Fragment
		if u.Path != "" {
			target = path.Join(path.Dir(from), u.Path)
		}
	}
	if !files[target] {
		return "no such file in the repository"
	}
	if d, ok := documents[target]; inside != "" && ok && !slices.Contains(d.anchors, inside) {
		return target + " has no such heading"
	}
	return ""
}

// Every link of a document to a file or heading of this repository leads there.
func TestLinks(t *testing.T) {
	files, documents := repository(t)
	checked := 0
	for file, d := range documents {
		for _, link := range d.links {
			checked++
			if problem := wrong(file, link, files, documents); problem != "" {
				t.Errorf("%s: link to %q: %s", file, link, problem)
			}
		}
	}
	t.Logf("%d links in %d documents", checked, len(documents))
}

func TestWrongLinks(t *testing.T) {
	files := map[string]bool{"README.md": true, "docs": true, "docs/a.md": true, "docs/b.md": true, "x y.md": true}
	markdown := "# Über `a_b`: C++ & co.\n\n## Twice\n\n## Twice\n\n<a id=\"here\"></a>\n\n[b](b.md#twice-1) ![i](i.png)\n\n```text\n# not a heading\n```\n"
	a := parse([]byte(markdown))
	documents := map[string]document{"README.md": {}, "docs/a.md": a, "docs/b.md": a}
	if want := []string{"b.md#twice-1", "i.png"}; !slices.Equal(a.links, want) {
		t.Errorf("links: %q, want %q", a.links, want)
	}
	for _, c := range []struct {
		link string
		good bool
	}{
		{"b.md", true},
		{"b.md#über-a_b-c--co", true},
		{"b.md#twice", true},
		{"#twice-1", true},
		{"#here", true},
		{"../docs", true},
		{"../x%20y.md", true},
		{"https://example.org/nothing.md", true},
		{"mailto:a@example.org", true},
		{"https://github.com/heycard/coingecko-exporter/blob/main/docs/b.md#twice", true},
		{"c.md", false},
		{"b.md#twice-2", false},
		{"#not-a-heading", false},
		{"../../README.md", false},
		{"/README.md", false},
		{"https://github.com/heycard/coingecko-exporter/blob/main/docs/c.md", false},
	} {
		if problem := wrong("docs/a.md", c.link, files, documents); (problem == "") != c.good {
			t.Errorf("%s: %q", c.link, problem)
		}
	}
}

// Every word of the documents' prose is one of British English, or stands in words.txt, one a line.
func TestSpelling(t *testing.T) {
	in := map[string][]string{} // the documents that have a word
	_, documents := repository(t)
	for file, d := range documents {
		for _, word := range words(d.prose) {
			in[word] = append(in[word], file)
		}
	}
	for _, word := range misspelt(t, slices.Collect(maps.Keys(in))) {
		t.Errorf("%s: correct %q, or, if it is a name or a term, add it to docs/words.txt", strings.Join(in[word], ", "), word)
	}
}

func TestMisspelt(t *testing.T) {
	d := parse([]byte("# A `wrng` word\n\nThe colour, <https://exampel.org>, the [exporter](exprter.md), CoinGecko's README.md and\n\"the color\" of teh—kubelet’s.\n\n```sh\nmispelt\n```\n"))
	if got, want := misspelt(t, words(d.prose)), []string{"color", "teh"}; !slices.Equal(got, want) {
		t.Errorf("misspelt: %q, want %q", got, want)
	}
}

// words gives each word of a text once: not those that are code or names by their form, such as README.md, gp3, AWS, CoinGecko.
func words(prose string) []string {
	var found []string
	for field := range strings.FieldsSeq(strings.ReplaceAll(prose, "’", "'")) {
		field = strings.TrimFunc(field, unicode.IsPunct)
		if strings.ContainsAny(field, "0123456789./\\_@=:{}()$+&") {
			continue
		}
		for word := range strings.FieldsFuncSeq(field, func(r rune) bool { return r != '\'' && !unicode.IsLetter(r) && !unicode.IsMark(r) }) {
			word = strings.TrimSuffix(strings.Trim(word, "'"), "'s")
			if _, size := utf8.DecodeRuneInString(word); word != "" && strings.IndexFunc(word[size:], unicode.IsUpper) < 0 {
				found = append(found, word)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// misspelt asks hunspell which words it does not know.
func misspelt(t *testing.T, words []string) []string {
	t.Helper()
	c := exec.Command("hunspell", "-d", "en_GB", "-i", "utf-8", "-p", "./words.txt", "-l")
	if c.Err != nil {
		t.Skip("not run here: spelling. To provide it: apt-get install hunspell hunspell-en-gb")
	}
	var said bytes.Buffer
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	c.Stdin, c.Stderr = strings.NewReader(strings.Join(words, "\n")), &said
	out, err := c.Output()
	if err != nil || said.Len() > 0 {
		t.Fatalf("hunspell: %v %s", err, said.String())
	}
	unknown := strings.Fields(string(out))
	slices.Sort(unknown)
	return unknown
}
