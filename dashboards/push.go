// Uploading to a Grafana, through the SDK's client.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/grafana-tools/sdk"
)

// The folder that the dashboards go to. provisioning/ names the same.
const (
	folderUID   = "coingecko"
	folderTitle = "CoinGecko"
)

const (
	pushTimeout = 30 * time.Second // of one request
	answerMost  = 1 << 20          // bytes of Grafana's answer
	messageMost = 300              // bytes of its message in an error
)

// newClient makes a client of the Grafana at address, which may have a path. All its errors are about
// what the user gave.
func newClient(address, tokenFile string) (*sdk.Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("--grafana.url is not an http or https URL: give one as https://grafana.example.com")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("--grafana.url has a user, a query or a fragment: leave them out; the token stands in --grafana.token-file")
	}
	raw, err := os.ReadFile(tokenFile)
	if err != nil {
		return nil, fmt.Errorf("--grafana.token-file: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	switch {
	case token == "":
		return nil, fmt.Errorf("--grafana.token-file: %s is empty: write the token of a service account to it", tokenFile)
	case strings.ContainsAny(token, ": \t\r\n"): // the SDK would take it for user and password, and put it into URLs
		return nil, fmt.Errorf("--grafana.token-file: %s does not hold one token of a service account and nothing else", tokenFile)
	}
	client := &http.Client{
		Timeout:   pushTimeout,
		Transport: refusals{http.DefaultTransport},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fmt.Errorf("it redirects to %s://%s: give that as --grafana.url", r.URL.Scheme, r.URL.Host)
		},
	}
	return sdk.NewClient(strings.TrimRight(address, "/"), token, client)
}

// refusal is an answer of Grafana that is not success.
type refusal struct {
	status  int
	message string // Grafana's own, one line
}

func (r *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", r.status, http.StatusText(r.status), r.message))
}

// refusals makes an error of each answer that is not success. The SDK reads what it got as JSON before
// it looks at the status, and a proxy's page or an empty body would hide what happened.
type refusals struct{ next http.RoundTripper }

func (t refusals) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err != nil || answer.StatusCode < 400 {
		return answer, err
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, answerMost)) // the status says enough
	var said struct{ Message string }
	_ = json.Unmarshal(body, &said) // a page for people has no message
	message := strings.Join(strings.Fields(said.Message), " ")
	if len(message) > messageMost {
		message = message[:messageMost] + "…"
	}
	return nil, &refusal{answer.StatusCode, message}
}

// push uploads the dashboards. A second run with the same dashboards changes nothing.
func push(ctx context.Context, client *sdk.Client, boards []*dashboard, stdout io.Writer) error {
	folder, err := client.GetFolderByUID(ctx, folderUID)
	if absent(err) {
		folder, err = client.CreateFolder(ctx, sdk.Folder{UID: folderUID, Title: folderTitle})
	}
	if err != nil {
		return explain("folder "+folderTitle, err)
	}
	for _, d := range boards {
		raw := d.JSON()
		done := "updated"
		there, properties, err := client.GetRawDashboardByUID(ctx, d.UID)
		switch {
		case absent(err):
			done = "created"
		case err != nil:
			return explain("dashboard "+d.UID, err)
		case properties.FolderTitle == folder.Title && equal(there, raw):
			fmt.Fprintf(stdout, "%s: unchanged\n", d.UID)
			continue
		}
		_, err = client.SetRawDashboardWithParam(ctx, sdk.RawBoardRequest{
			Dashboard:  raw,
			Parameters: sdk.SetDashboardParams{FolderID: folder.ID, Overwrite: true},
		})
		if err != nil {
			return explain("dashboard "+d.UID, err)
		}
		fmt.Fprintf(stdout, "%s: %s\n", d.UID, done)
	}
	return nil
}

// equal compares two dashboards, leaving out what Grafana numbers itself.
func equal(a, b []byte) bool {
	var boards [2]map[string]any
	for i, raw := range [][]byte{a, b} {
		if json.Unmarshal(raw, &boards[i]) != nil {
			return false
		}
		drop(boards[i], "id", "version")
	}
	return reflect.DeepEqual(boards[0], boards[1])
}

// absent says that something may not be there yet. What does not exist has no permissions, so that
// Grafana answers 403 to all but admins; whether writing is allowed shows when it is tried.
func absent(err error) bool {
	r, refused := errors.AsType[*refusal](err)
	return refused && (r.status == http.StatusNotFound || r.status == http.StatusForbidden)
}

// explain says what to do about an error.
func explain(what string, err error) error {
	r, refused := errors.AsType[*refusal](err)
	if !refused {
		if e, isURL := errors.AsType[*url.Error](err); isURL {
			err = e.Err
		}
		return fmt.Errorf("%s: cannot reach Grafana: %w. Check --grafana.url", what, err)
	}
	advice := "Look at Grafana's log"
	switch r.status {
	case http.StatusUnauthorized:
		advice = "Grafana does not know the token: check --grafana.token-file, and that the service account is enabled"
	case http.StatusForbidden:
		advice = "The service account may not do that: give it the role Editor"
	case http.StatusNotFound:
		advice = "No Grafana answers there: check --grafana.url and its path"
	case http.StatusPreconditionFailed:
		advice = "Grafana holds another version or another dashboard of that name: rename or remove it there"
	case http.StatusBadRequest, http.StatusConflict:
		advice = "If the dashboard comes from provisioning files, change the files, or remove them and push again"
	}
	return fmt.Errorf("%s: Grafana answered %w. %s", what, r, advice)
}
