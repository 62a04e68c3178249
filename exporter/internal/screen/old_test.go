package screen

import (
	"regexp"
	"testing"
)

// TestOldBrowsers looks for features that Chromium 64 does not support. The screen was tried there.
func TestOldBrowsers(t *testing.T) {
	for name, c := range map[string]struct{ text, newer string }{
		"style sheet": {style, `\b(?:min|max|clamp)\(|:is\(|:where\(|:has\(|\binset:|@container|@layer|container-type|\d(?:cqw|cqh|cqi|dvh|svh)\b|(?m:^\s*aspect-ratio:)|(?m:^\s*(?:row-|column-)?gap:)|; gap:`},
		"script": {script, `\?\.[a-zA-Z(\[]|\?\?|\|\|=|&&=|catch \{|\.(?:flat|flatMap|replaceAll|replaceChildren|at|matchAll|fromEntries|allSettled|finally)\(|` +
			`\bglobalThis\b|\bstatic \{|#[a-z]+[ =(]|\d_\d|\dn\b|structuredClone|\bimport\b`},
	} {
		text := regexp.MustCompile(`(?s)/\*.*?\*/|(?m:^\s*//.*$)`).ReplaceAllString(c.text, "")
		for _, found := range regexp.MustCompile(c.newer).FindAllString(text, -1) {
			t.Errorf("the %s has %q, which Chromium 64 has not", name, found)
		}
	}
	// Which came with Chromium 66.
	if !regexp.MustCompile(`window\.AbortController \? new AbortController`).MatchString(script) || len(regexp.MustCompile(`AbortController`).FindAllString(script, -1)) != 2 {
		t.Error("the script needs AbortController")
	}
}
