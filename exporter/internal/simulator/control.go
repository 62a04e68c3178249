// Control endpoints, for presenters and tests.

package simulator

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// defaultChange is the default change of POST /swing/{currency}.
const defaultChange = "-0.12"

// Handler serves the API below /api/v3 and the control endpoints.
func (s *Simulator) Handler() http.Handler {
	control := http.NewServeMux()
	control.HandleFunc("GET /{$}", s.index)
	control.HandleFunc("GET /history", s.history)
	post := func(path string, do func(*http.Request) (text string, err error)) {
		control.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			text, err := do(r)
			if err != nil {
				badRequest(w, err)
				return
			}
			reply(w, text)
		})
	}
	post("/fail/{mode}", func(r *http.Request) (string, error) {
		m := Mode(r.PathValue("mode"))
		return fmt.Sprintf("%s: %s\n", m, m.About()), s.Fail(m)
	})
	post("/recover", func(*http.Request) (string, error) {
		return fmt.Sprintf("%s: %s\n", None, None.About()), s.Fail(None)
	})
	post("/swing/{currency}", func(r *http.Request) (string, error) {
		code, text := r.PathValue("currency"), cmp.Or(r.URL.Query().Get("change"), defaultChange)
		change, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "", fmt.Errorf("change %q is not a number: use a ratio, such as -0.12 for a fall of 12 %%", text)
		}
		return fmt.Sprintf("%s moves by %+.1f %%\n", code, change*100), s.Swing(code, change)
	})
	// Other web pages in the presenter's browser must not be able to control the simulator.
	guarded := http.NewCrossOriginProtection().Handler(control)

	all := http.NewServeMux()
	all.Handle("/", guarded)
	all.Handle("/api/", gzhttp.GzipHandler(http.HandlerFunc(s.api)))
	return all
}

func badRequest(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), http.StatusBadRequest)
}

func reply(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, text) //nolint:errcheck // the client has disconnected
}

func (s *Simulator) index(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	mode, requests := s.mode, s.requests
	s.mu.Unlock()
	var table strings.Builder
	for _, m := range Modes() {
		fmt.Fprintf(&table, "%-13s %s\n", m, m.About())
	}
	reply(w, fmt.Sprintf(`A simulated CoinGecko: none of its rates is real.

Rates   http://%[1]s%[2]s
Mode    %[3]s: %[4]s
Served  %[5]d requests since %[6]s

curl -X POST http://%[1]s/swing/eth               a coin falls by 12 %%
curl -X POST 'http://%[1]s/swing/eth?change=0.2'  or rises by 20 %%
curl -X POST http://%[1]s/swing/market            all coins at once
curl -X POST http://%[1]s/fail/MODE               use one of the failure modes below
curl -X POST http://%[1]s/recover                 answer again

curl 'http://%[1]s/history?hours=192' >history
promtool tsdb create-blocks-from --max-block-duration=54h openmetrics history DIRECTORY
    eight days for a Prometheus; more parameters: step, job, instance, namespace

%[7]s`, r.Host, apiPath, mode, mode.About(), requests, s.market.start.UTC().Format("15:04:05 UTC"), table.String()))
}
