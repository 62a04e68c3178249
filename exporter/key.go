// The API key: where it comes from, whether the plan needs it, and what is not a key.

package exporter

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// checkKey checks that the key fits the plan: required for demo and pro, refused for keyless.
func (s *settings) checkKey() error {
	inEnv := s.environment[keyEnv]
	plan, file := s.name("coingecko.plan"), s.name("coingecko.api-key-file")
	from := keyEnv
	if s.keyFile != "" {
		from = file
	}
	switch {
	case s.simulate:
		return nil // the simulator needs no key, and a variable with a key must not prevent a simulation
	case s.keyFile != "" && inEnv != "":
		return fmt.Errorf("%s and %s both set an API key; remove one of them", file, keyEnv)
	case s.keyFile == "" && inEnv == "":
		if s.plan.KeyHeader != "" {
			mistyped := ""
			for _, w := range s.unknown {
				if strings.HasSuffix(w, keyEnv+"?") || strings.HasSuffix(w, variable("coingecko.api-key-file")+"?") {
					mistyped = "; " + strings.TrimSuffix(w, "?")
				}
			}
			return fmt.Errorf("%s=%s: the plan requires an API key; set --coingecko.api-key-file=%s or the environment variable %s%s", plan, s.plan.Name, examples["coingecko.api-key-file"], keyEnv, mistyped)
		}
		return nil
	case s.plan.KeyHeader == "":
		return fmt.Errorf("%s is set, but %s=%s uses no API key; set %s=demo or pro, or remove the key", from, plan, s.plan.Name, plan)
	case keyInText.FindString(s.keyFile) == s.keyFile && s.keyFile != "" && !exists(s.keyFile):
		return s.wrong("coingecko.api-key-file", "must be the path of a file that contains the key, not the key itself")
	case s.keyFile != "":
		s.key = func() (string, error) { return keyFromFile(file, s.keyFile) }
	default:
		s.key = func() (string, error) { return usableKey(keyEnv, inEnv) }
	}
	s.keyFrom = from
	_, err := s.key()
	return err
}

func exists(file string) bool { _, err := os.Stat(file); return err == nil }

// keyFromFile reads the key from a file. name is the flag or variable with the path.
func keyFromFile(name, file string) (string, error) {
	from := name + "=" + shown(file)
	var b []byte
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		b, err = io.ReadAll(io.LimitReader(f, 64<<10))
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %s", from, unreadable(err))
	case bytes.HasPrefix(b, []byte("\xFF\xFE")), bytes.HasPrefix(b, []byte("\xFE\xFF")):
		return "", fmt.Errorf("%s: the file is UTF-16; save it as UTF-8 or ASCII", from)
	case bytes.IndexByte(b, 0) >= 0:
		return "", fmt.Errorf("%s: the file is UTF-16 or binary; save it as UTF-8 or ASCII", from)
	case bytes.HasPrefix(b, []byte("\uFEFF")):
		return "", fmt.Errorf("%s: the file begins with a byte order mark; save it as UTF-8 without it", from)
	}
	return usableKey(from, string(b))
}

const (
	leastKey = 8 // bytes; CoinGecko's keys have 27
	mostKey  = 256
)

var (
	goodKey     = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	placeholder = regexp.MustCompile(`(?i)your|change.?me|replace|placeholder|example|insert|dummy|todo|api.?key|x{4,}|0{8,}|\*{3,}|^<.*>$|^\.+$|\$[({]|\{\{|^(none|null|nil|undefined|empty)$`)
)

// usableKey trims and checks a key. Its errors do not quote the key.
func usableKey(from, key string) (string, error) {
	key = strings.TrimSpace(key)
	var problem string
	switch first, last := firstAndLast(key); {
	case key == "":
		problem = "is empty; it must contain the API key and nothing else"
	case strings.ContainsRune(quotes, first) || strings.ContainsRune(quotes, last):
		problem = "the key is in quotes; remove them"
	case strings.HasPrefix(key, "Q0ct"): // CG- in base64
		problem = "the key is base64 encoded; decode it"
	case strings.ContainsAny(key, "=:") && !strings.HasPrefix(key, "$"):
		problem = "there is text before the key, such as key=; remove it"
	case placeholder.MatchString(key):
		problem = "contains a placeholder instead of a key"
	case len(strings.Fields(key)) > 1:
		problem = "contains more than one word; it must contain the API key and nothing else"
	case len(key) > mostKey:
		problem = "is too long to be a key"
	case len(key) < leastKey:
		problem = "is too short to be a key"
	case !goodKey.MatchString(key):
		problem = "contains characters that are not ASCII letters, digits, hyphens or underscores"
	default:
		return key, nil
	}
	return "", fmt.Errorf("%s: %s; keys look like CG- and 24 letters and digits, get one at https://www.coingecko.com/en/developers/dashboard", from, problem)
}
