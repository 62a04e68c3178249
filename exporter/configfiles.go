// Checks of the web and HTTP client configuration, and of the files that they name. Errors never quote what may be a secret.

package exporter

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/config"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// unreadable describes why a file cannot be read and what to do. It does not name the file.
func unreadable(err error) string {
	problem, path := err.Error(), ""
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		problem, path = e.Err.Error(), e.Path
	}
	problem = "cannot be read: " + problem
	switch {
	case untidy(path) != "":
		return problem + untidy(path)
	case strings.HasPrefix(path, "file:"):
		return problem + "; remove file://"
	case strings.HasPrefix(path, "~"), strings.Contains(path, "$"):
		return problem + "; ~ and $ are not expanded, write the full path"
	case errors.Is(err, fs.ErrNotExist):
		return problem + "; write the path of an existing file"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s; make it readable for user %d", problem, os.Getuid())
	}
	return problem + "; write the path of a file"
}

var (
	quotedByYAML = regexp.MustCompile("(?s) `[^`]*`")
	wrongType    = regexp.MustCompile(`cannot unmarshal !!(\w+) into (\S+)`)
	noField      = regexp.MustCompile(`field (\S+) not found in type \S+`)
)

// whatStands and whatBelongs translate the type names of YAML and Go.
var whatStands = map[string]string{"str": "a string", "seq": "a list", "map": "a mapping", "int": "a number", "float": "a number", "bool": "true or false"}

func whatBelongs(goType string) string {
	switch {
	case goType == "bool":
		return "true or false"
	case goType == "string", strings.HasSuffix(goType, "Secret") && !strings.HasPrefix(goType, "map"):
		return "a string"
	case strings.HasPrefix(goType, "int"), strings.HasPrefix(goType, "float"):
		return "a number"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	}
	return "a mapping"
}

// notYAML describes what is wrong with a YAML file, without the values that the library's errors quote.
func notYAML(err error) string {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return unreadable(err)
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return "proxy_url is " + noProxyURL
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:")
	text = wrongType.ReplaceAllStringFunc(quotedByYAML.ReplaceAllString(text, ""), func(found string) string {
		m := wrongType.FindStringSubmatch(found)
		return fmt.Sprintf("found %s instead of %s", cmp.Or(whatStands[m[1]], m[1]), whatBelongs(m[2]))
	})
	text = noField.ReplaceAllString(text, "unknown field $1")
	return strings.Join(strings.Fields(text), " ")
}

// quoted quotes a word for a shell.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

var plainWord = regexp.MustCompile(`^[\w.@-]+$`)

// bcryptHash matches complete hashes. The library also accepts truncated ones, which match no password.
var bcryptHash = regexp.MustCompile(`^\$2[abxy]?\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$`)

const (
	webConfigForm  = "https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md describes the format"
	httpConfigForm = "https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config describes the format"
)

// checkWebConfig checks --web.config.file and the files that it names, and reports whether it enables TLS.
func (s *settings) checkWebConfig() (hasTLS bool, err error) {
	file := *s.web.WebConfigFile
	if file == "" {
		return false, nil
	}
	hasTLS, problem := webConfigProblem(file)
	if problem != "" {
		return false, fmt.Errorf("%s=%s: %s", s.name("web.config.file"), shown(file), problem)
	}
	return hasTLS, nil
}

func webConfigProblem(file string) (hasTLS bool, problem string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return false, unreadable(err)
	}
	c := web.Config{TLSConfig: web.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}}
	if err := yaml.UnmarshalStrict(b, &c); err != nil {
		return false, notYAML(err) + "; " + webConfigForm
	}
	for _, user := range slices.Sorted(maps.Keys(c.Users)) {
		if user == "" {
			return false, "a user in basic_auth_users has no name"
		}
		if !bcryptHash.MatchString(string(c.Users[user])) {
			return false, fmt.Sprintf("the password of user %q in basic_auth_users is not a bcrypt hash; run htpasswd -nB %s and use the part after the colon", user, quoted(user))
		}
	}
	t := &c.TLSConfig
	t.SetDirectory(filepath.Dir(file))
	if t.MinVersion > t.MaxVersion {
		return false, "min_version in tls_server_config is above max_version"
	}
	if t.TLSCertPath != "" && t.TLSKeyPath != "" {
		if problem := pairProblem("cert_file", t.TLSCertPath, "key_file", t.TLSKeyPath); problem != "" {
			return false, problem
		}
	}
	if t.ClientCAs != "" {
		if problem := caProblem("client_ca_file", t.ClientCAs); problem != "" {
			return false, problem
		}
	}
	if r := c.RateLimiterConfig; r.Interval != 0 && r.Burst < 1 {
		return false, fmt.Sprintf("burst in rate_limit is %d, so no request would be answered; it must be at least 1", r.Burst)
	}
	if err := web.Validate(file); err != nil {
		return false, notYAML(err) + "; " + webConfigForm
	}
	return t.TLSCert != "" || t.TLSCertPath != "", ""
}

// pairProblem describes what is wrong with a certificate and its key; empty if nothing is.
func pairProblem(certField, certFile, keyField, keyFile string) string {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return fmt.Sprintf("%s %s: %s", certField, certFile, unreadable(err))
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return fmt.Sprintf("%s %s: %s", keyField, keyFile, unreadable(err))
	}
	if bytes.Contains(key, []byte("ENCRYPTED")) {
		return fmt.Sprintf("%s %s is encrypted; decrypt it with openssl pkey", keyField, keyFile)
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return fmt.Sprintf("%s %s and %s %s are not a pair of PEM files: %s", certField, certFile, keyField, keyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return ""
}

// caProblem describes what is wrong with a file of CA certificates; empty if nothing is.
func caProblem(field, file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Sprintf("%s %s: %s", field, file, unreadable(err))
	}
	if !x509.NewCertPool().AppendCertsFromPEM(b) {
		return fmt.Sprintf("%s %s contains no PEM certificate, which begins with -----BEGIN CERTIFICATE-----", field, file)
	}
	return ""
}

// readHTTPConfig reads --coingecko.http-config-file and checks the files that it names. It returns nil if the flag is not set.
func (s *settings) readHTTPConfig() (*config.HTTPClientConfig, error) {
	if s.httpFile == "" {
		return nil, nil
	}
	c, problem := httpConfig(s.httpFile)
	if problem != "" {
		return nil, fmt.Errorf("%s=%s: %s", s.name("coingecko.http-config-file"), shown(s.httpFile), problem)
	}
	return c, nil
}

func httpConfig(file string) (_ *config.HTTPClientConfig, problem string) {
	c, _, err := config.LoadHTTPConfigFile(file)
	if err != nil {
		problem := notYAML(err)
		if !strings.HasPrefix(problem, "cannot be read") && !strings.HasPrefix(problem, "proxy_url") {
			problem += "; " + httpConfigForm
		}
		return nil, problem
	}
	if u := c.ProxyURL.URL; u != nil {
		if !isProxyURL(u.String()) {
			return nil, "proxy_url is " + noProxyURL
		}
	}
	t := c.TLSConfig
	if t.CAFile != "" {
		if problem := caProblem("tls_config.ca_file", t.CAFile); problem != "" {
			return nil, problem
		}
	}
	if t.CertFile != "" && t.KeyFile != "" {
		if problem := pairProblem("tls_config.cert_file", t.CertFile, "tls_config.key_file", t.KeyFile); problem != "" {
			return nil, problem
		}
	}
	secrets := map[string]string{}
	if a := c.BasicAuth; a != nil {
		secrets["basic_auth.username_file"], secrets["basic_auth.password_file"] = a.UsernameFile, a.PasswordFile
	}
	if a := c.Authorization; a != nil {
		secrets["authorization.credentials_file"] = a.CredentialsFile
		if strings.ContainsAny(string(a.Credentials), "\r\n") {
			return nil, "authorization.credentials contains a line break; remove it"
		}
	}
	if a := c.OAuth2; a != nil {
		secrets["oauth2.client_secret_file"] = a.ClientSecretFile
		if _, problem := parseURL(a.TokenURL); problem != "" {
			return nil, "oauth2.token_url: " + problem
		}
	}
	if c.HTTPHeaders != nil {
		for header, h := range c.HTTPHeaders.Headers {
			if !httpguts.ValidHeaderFieldName(header) {
				return nil, fmt.Sprintf("http_headers: %q is not the name of a header", header)
			}
			values := slices.Clone(h.Values)
			for _, secret := range h.Secrets {
				values = append(values, string(secret))
			}
			for _, value := range values {
				if !httpguts.ValidHeaderFieldValue(value) {
					return nil, fmt.Sprintf("http_headers: a value of %s contains a line break or another control character; remove it", header)
				}
			}
			for i, file := range h.Files {
				secrets[fmt.Sprintf("http_headers.%s.files[%d]", header, i)] = file
			}
		}
	}
	for _, field := range slices.Sorted(maps.Keys(secrets)) {
		if secrets[field] == "" {
			continue
		}
		if _, err := os.ReadFile(secrets[field]); err != nil {
			return nil, fmt.Sprintf("%s %s: %s", field, secrets[field], unreadable(err))
		}
	}
	if _, err := coingecko.New(coingecko.Options{HTTP: c}); err != nil {
		return nil, notYAML(err) + "; " + httpConfigForm
	}
	return c, ""
}
