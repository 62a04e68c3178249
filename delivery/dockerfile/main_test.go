package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const dockerfile = "../../Dockerfile"

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheck(t *testing.T) {
	if err := check(dockerfile, t.Output()); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"StageNameCasing":      "FROM scratch AS Final\n",
		"MaintainerDeprecated": "FROM scratch\nMAINTAINER nobody\n",
		"JSONArgsRecommended":  "FROM scratch\nCMD sh\n",
		"unknown instruction":  "FROM scratch\nCOPPY a b\n",
	} {
		var report bytes.Buffer
		if err := check(write(t, "Dockerfile", text), &report); err == nil {
			t.Errorf("%s was not found", name)
		} else if !strings.Contains(report.String(), name) {
			t.Errorf("%s: the report is %q", name, report.String())
		}
	}
}

// TestArchive makes the image of the real Dockerfile from two files in place of binaries.
func TestArchive(t *testing.T) {
	amd64, arm64 := write(t, "exporter", "for amd64"), write(t, "exporter", "for arm64")
	passwd := write(t, "passwd", "exporter:x:65532:65532::/:/sbin/nologin\n")
	build := func(date string) (file []byte, printed string) {
		output := filepath.Join(t.TempDir(), "image.tar")
		var out bytes.Buffer
		if err := archive([]string{"-output", output, "-date", date, "-arg", "VERSION=1.2.3", dockerfile, passwd, "linux/amd64=" + amd64, "linux/arm64=" + arm64}, &out); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		return file, strings.TrimSpace(out.String())
	}
	file, digest := build("2026-01-02T03:04:05+01:00")
	if again, _ := build("2026-01-02T02:04:05Z"); !bytes.Equal(file, again) {
		t.Error("the same moment, said otherwise, gave another archive")
	}
	if other, _ := build("2026-01-02T03:04:05Z"); bytes.Equal(file, other) {
		t.Error("the date plays no part")
	}

	folder := t.TempDir()
	for r := tar.NewReader(bytes.NewReader(file)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(filepath.Join(folder, header.Name), 0o755)
		} else {
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(filepath.Join(folder, header.Name), data, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	list, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Manifests) != 1 || list.Manifests[0].Digest.String() != digest || list.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "1.2.3" {
		t.Errorf("index.json says %+v, and %s was printed", list.Manifests, digest)
	}
	index, err := outer.ImageIndex(list.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"amd64", "arm64"} {
		image, err := index.Image(manifest.Manifests[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != want || !manifest.Manifests[i].Platform.Equals(v1.Platform{OS: "linux", Architecture: want}) {
			t.Errorf("image %d is for %s, in the index for %s; want %s", i, config.Architecture, manifest.Manifests[i].Platform, want)
		}
		if config.Config.User != "65532:65532" || config.Config.Entrypoint[0] != "/coingecko-exporter" || config.Config.Labels["org.opencontainers.image.version"] != "1.2.3" {
			text, _ := json.Marshal(config.Config)
			t.Errorf("%s is not configured as the Dockerfile says: %s", want, text)
		}
	}
}

func TestArchiveRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"archive needs": {"-output", "x", dockerfile},
		"-date":         {"-output", "x", "-date", "today", dockerfile, "passwd", "linux/amd64=x"},
		"no such file":  {"-output", "x", "-date", "2026-01-02T03:04:05Z", dockerfile, "passwd", "linux/amd64=x"},
	} {
		if err := archive(args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
}
