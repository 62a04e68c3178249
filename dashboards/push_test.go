// Uploading, against a stand-in of Grafana's API, and where there is one, against a real Grafana.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testToken = "glsa_0123456789abcdef"

// grafana answers as Grafana 12.4 does where this project asks.
type grafana struct {
	t       *testing.T
	folder  bool
	saved   map[string]map[string]any // by uid, as uploaded
	writes  int
	refuse  func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	missing int                                               // status for what does not exist
}

func (g *grafana) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/grafana")
	reply := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(v)
	}
	if r.Header.Get("Authorization") != "Bearer "+testToken {
		reply(http.StatusUnauthorized, map[string]any{"message": "Invalid API key"})
		return
	}
	if g.refuse != nil && g.refuse(w, r) {
		return
	}
	folder := map[string]any{"id": 7, "uid": folderUID, "title": folderTitle}
	switch uid := strings.TrimPrefix(path, "/api/dashboards/uid/"); {
	case r.Method == http.MethodGet && path == "/api/folders/"+folderUID && g.folder:
		reply(http.StatusOK, folder)
	case r.Method == http.MethodPost && path == "/api/folders":
		var asked struct{ UID, Title string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.UID != folderUID || asked.Title != folderTitle {
			g.t.Errorf("the folder is asked for as %+v (%v)", asked, err)
		}
		g.folder = true
		g.writes++
		reply(http.StatusOK, folder)
	case r.Method == http.MethodGet && g.saved[uid] != nil:
		reply(http.StatusOK, map[string]any{"dashboard": g.saved[uid], "meta": map[string]any{"folderTitle": folderTitle}})
	case r.Method == http.MethodPost && path == "/api/dashboards/db":
		var asked struct {
			Dashboard map[string]any
			FolderID  int
			Overwrite bool
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.FolderID != 7 || !asked.Overwrite {
			g.t.Errorf("uploaded to folder %d, overwrite %v (%v)", asked.FolderID, asked.Overwrite, err)
		}
		asked.Dashboard["id"], asked.Dashboard["version"] = 31, 4
		g.saved[asked.Dashboard["uid"].(string)] = asked.Dashboard
		g.writes++
		reply(http.StatusOK, map[string]any{"status": "success", "uid": asked.Dashboard["uid"]})
	case r.Method == http.MethodGet:
		reply(g.missing, map[string]any{"message": "not found, or no permission"})
	default:
		g.t.Errorf("unexpected %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusTeapot)
	}
}

func newGrafana(t *testing.T) (*grafana, string) {
	t.Helper()
	g := &grafana{t: t, saved: map[string]map[string]any{}, missing: http.StatusNotFound}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	return g, s.URL + "/grafana"
}

func pushed(t *testing.T, address, tokenFile string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), []string{"push", "--grafana.url", address, "--grafana.token-file", tokenFile}, &out, &errs)
	if strings.Contains(out.String()+errs.String(), testToken) {
		t.Error("the token is in the output")
	}
	return code, out.String(), errs.String()
}

func TestPush(t *testing.T) {
	for _, missing := range []int{http.StatusNotFound, http.StatusForbidden} {
		t.Run(fmt.Sprint("what is missing is ", missing), func(t *testing.T) {
			g, address := newGrafana(t)
			g.missing = missing
			tokenFile := file(t, "token", testToken+"\n")
			expect := func(said string, writes int) {
				t.Helper()
				g.writes = 0
				code, stdout, stderr := pushed(t, address+"/", tokenFile)
				if code != exitOK || g.writes != writes || strings.Count(stdout, said) != len(all(coins)) {
					t.Fatalf("ended with %d after %d writes: %s%s", code, g.writes, stdout, stderr)
				}
			}
			expect(": created", 1+len(all(coins)))
			expect(": unchanged", 0)
			for _, b := range g.saved {
				b["title"] = "changed by hand"
			}
			expect(": updated", len(all(coins)))
			expect(": unchanged", 0)
		})
	}
}

func TestPushRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		method string // that it refuses
		body   string
		says   []string
	}{
		{"disabled account", 401, "", `{"message":"Invalid API key"}`, []string{"401", "Invalid API key", "--grafana.token-file"}},
		{"may not write", 403, "POST", `{"message":"You'll need additional permissions"}`, []string{"403", "additional permissions", "Editor"}},
		{"another version", 412, "POST", `{"message":"The dashboard has been changed by someone else","status":"version-mismatch"}`, []string{"412", "changed by someone else", "remove it there"}},
		{"provisioned", 400, "POST", `{"message":"Cannot save provisioned dashboard"}`, []string{"400", "provisioned", "files"}},
		{"a proxy's page", 502, "", `<html>Bad Gateway</html>`, []string{"502 Bad Gateway", "log"}},
		{"nothing to read", 500, "", ``, []string{"500"}},
		{"another API", 404, "POST", `not found`, []string{"404", "--grafana.url"}},
		{"a long message", 500, "", `{"message":"` + strings.Repeat("very ", 200) + `long"}`, []string{"very …"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, address := newGrafana(t)
			g.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				if test.method != "" && r.Method != test.method {
					return false
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
				return true
			}
			code, _, stderr := pushed(t, address, file(t, "token", testToken))
			if code != exitFailed || strings.Count(stderr, "\n") != 1 {
				t.Errorf("ended with %d: %s", code, stderr)
			}
			for _, s := range test.says {
				if !strings.Contains(stderr, s) {
					t.Errorf("the error does not say %q: %s", s, stderr)
				}
			}
		})
	}
}

// A redirect may lead to a login page or to another host: neither must get the token.
func TestPushRedirected(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(elsewhere.Close)
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/login", http.StatusMovedPermanently))
	t.Cleanup(s.Close)
	code, _, stderr := pushed(t, s.URL, file(t, "token", testToken))
	if code != exitFailed || asked || !strings.Contains(stderr, "redirects to "+elsewhere.URL) {
		t.Errorf("ended with %d (followed: %v): %s", code, asked, stderr)
	}
}

func TestPushMisasked(t *testing.T) {
	good := file(t, "token", testToken)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, test := range []struct {
		address, tokenFile string
		code               int
		says               string
	}{
		{"grafana.example.com", good, exitUsage, "--grafana.url"},
		{"ftp://grafana.example.com", good, exitUsage, "--grafana.url"},
		{"http://admin:" + testToken + "@grafana.example.com", good, exitUsage, "--grafana.token-file"},
		{"http://grafana.example.com/\x7f", good, exitUsage, "--grafana.url"},
		{"http://grafana.example.com", filepath.Join(t.TempDir(), "none"), exitUsage, "no such file"},
		{"http://grafana.example.com", file(t, "token", " \n"), exitUsage, "is empty"},
		{"http://grafana.example.com", file(t, "token", "admin:"+testToken), exitUsage, "one token"},
		{"http://grafana.example.com", file(t, "token", testToken+"\n"+testToken), exitUsage, "one token"},
		{gone.URL, good, exitFailed, "folder CoinGecko: cannot reach Grafana: "},
	} {
		code, _, stderr := pushed(t, test.address, test.tokenFile)
		if code != test.code || !strings.Contains(stderr, test.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q with %s ended with %d: %s", test.address, test.tokenFile, code, stderr)
		}
	}
}

// TestStrictDryRun has a real Grafana check the dashboards against its own schema, without saving them.
func TestStrictDryRun(t *testing.T) {
	address, tokenFile := os.Getenv("GRAFANA_URL"), os.Getenv("GRAFANA_TOKEN_FILE")
	if address == "" || tokenFile == "" {
		t.Skip("not run here: the strict dry run in a Grafana (set GRAFANA_URL and GRAFANA_TOKEN_FILE)")
	}
	secret, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	try := func(b map[string]any) (int, string) {
		raw, err := json.Marshal(map[string]any{
			"apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard",
			"metadata": map[string]any{"name": "dry-run"}, "spec": b,
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, strings.TrimRight(address, "/")+
			"/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards?dryRun=All&fieldValidation=Strict", bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(secret)))
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}
	for _, d := range all(coins) {
		var b map[string]any
		if err := json.Unmarshal(d.JSON(), &b); err != nil {
			t.Fatal(err)
		}
		if status, body := try(b); status != http.StatusCreated {
			t.Errorf("%s: %d %s", d.UID, status, body)
		}
		b["panels"].([]any)[0].(map[string]any)["gridPos"].(map[string]any)["w"] = 25
		if status, _ := try(b); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: a panel of 25 columns got %d: this Grafana does not check", d.UID, status)
		}
	}
}
