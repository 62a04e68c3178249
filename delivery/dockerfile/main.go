// Command dockerfile reads the Dockerfile as BuildKit does, without an engine:
//
//	dockerfile check Dockerfile        # BuildKit's own linter
//	dockerfile archive -output=FILE -date=TIME [-arg=NAME=VALUE ...] Dockerfile PASSWD PLATFORM=BINARY ...
//
// archive makes the image that the last stage describes from binaries that are there: user, entry point, ports and labels are
// the Dockerfile's. The file is an OCI archive, and the same arguments give the same bytes on every machine.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "check":
		err = check(os.Args[2], os.Stdout)
	case len(os.Args) > 2 && os.Args[1] == "archive":
		err = archive(os.Args[2:], os.Stdout)
	default:
		err = errors.New("usage: dockerfile check FILE, or dockerfile archive [FLAG ...] FILE PASSWD PLATFORM=BINARY")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dockerfile:", err)
		os.Exit(1)
	}
}

// check prints what BuildKit's linter has to say, and fails if it says anything.
func check(file string, out io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	source := llb.NewSourceMap(nil, file, "Dockerfile", text)
	source.Definition = new(llb.Definition)
	results, err := dockerfile2llb.DockerfileLint(context.Background(), text, dockerfile2llb.ConvertOpt{
		MetaResolver: noBase{}, SourceMap: source,
	})
	if err != nil {
		return err
	}
	if len(results.Warnings) == 0 && results.Error == nil {
		return nil
	}
	var report bytes.Buffer
	if err := results.PrintTo(&report, nil); err != nil {
		return err
	}
	results.PrintErrorTo(&report, nil)
	fmt.Fprint(out, report.String())
	return fmt.Errorf("%s: BuildKit's linter has found what is above; fix it", file)
}

func archive(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("archive", flag.ContinueOnError)
	output := flags.String("output", "", "the OCI archive to write")
	date := flags.String("date", "", "time of creation (RFC 3339), of the image and of each file in it")
	config := dockerui.Config{BuildArgs: map[string]string{}}
	flags.Func("arg", "build argument NAME=VALUE", func(s string) error {
		name, value, _ := strings.Cut(s, "=")
		config.BuildArgs[name] = value
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *output == "" || flags.NArg() < 3 {
		return errors.New("archive needs -output, a Dockerfile, a passwd file and at least one PLATFORM=BINARY")
	}
	created, err := time.Parse(time.RFC3339, *date)
	if err != nil {
		return fmt.Errorf("-date: %w", err)
	}
	text, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	passwd, err := os.ReadFile(flags.Arg(1))
	if err != nil {
		return err
	}

	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var labels map[string]string
	for _, arg := range flags.Args()[2:] {
		name, path, _ := strings.Cut(arg, "=")
		platform, err := platforms.Parse(name)
		if err != nil {
			return err
		}
		binary, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		described, err := dockerfile2llb.Dockerfile2LLB(context.Background(), text, dockerfile2llb.ConvertOpt{
			Config: config, TargetPlatform: &platform, MetaResolver: noBase{},
		})
		if err != nil {
			return fmt.Errorf("%s: %w", flags.Arg(0), err)
		}
		image, err := build(described.Image.Config.ImageConfig, v1.Platform{OS: platform.OS, Architecture: platform.Architecture}, created.UTC(), []content{
			{"etc/passwd", 0o644, passwd},
			{"etc/ssl/certs/ca-certificates.crt", 0o644, roots()},
			{filepath.Base(path), 0o755, binary},
		})
		if err != nil {
			return err
		}
		labels = described.Image.Config.Labels
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: platform.OS, Architecture: platform.Architecture},
		}})
	}
	// Registries show the index's annotations where they would show a single image's labels.
	index = mutate.Annotations(index, labels).(v1.ImageIndex)

	if err := writeLayout(index, *output, created.UTC(), labels[ocispecs.AnnotationVersion]); err != nil {
		return err
	}
	hash, err := index.Digest()
	if err == nil {
		_, err = fmt.Fprintln(out, hash)
	}
	return err
}

type content struct {
	name string
	mode int64
	data []byte
}

// build makes an image of one layer.
func build(config ocispecs.ImageConfig, platform v1.Platform, created time.Time, files []content) (v1.Image, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	folders := map[string]bool{".": true}
	for _, f := range files {
		if err := addFolders(w, filepath.Dir(f.name), created, folders); err != nil {
			return nil, err
		}
		if err := addFile(w, f, created); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	compressed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil },
		tarball.WithCompressionLevel(9), tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}

	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: compressed, History: v1.History{
		Created: v1.Time{Time: created}, CreatedBy: "make image-archive",
	}})
	if err != nil {
		return nil, err
	}
	c, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Created = platform.OS, platform.Architecture, v1.Time{Time: created}
	c.Config = v1.Config{
		User: config.User, ExposedPorts: config.ExposedPorts, Env: config.Env, Entrypoint: config.Entrypoint, Cmd: config.Cmd,
		WorkingDir: config.WorkingDir, Labels: config.Labels, StopSignal: config.StopSignal,
	}
	return mutate.ConfigFile(image, c)
}

func addFolders(w *tar.Writer, name string, created time.Time, have map[string]bool) error {
	if have[name] {
		return nil
	}
	have[name] = true
	if err := addFolders(w, filepath.Dir(name), created, have); err != nil {
		return err
	}
	return addFolder(w, name, created)
}

func addFolder(w *tar.Writer, name string, created time.Time) error {
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: created, Format: tar.FormatPAX})
}

func addFile(w *tar.Writer, f content, created time.Time) error {
	if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: created, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := w.Write(f.data)
	return err
}

// roots are Mozilla's, from a module whose checksum is known: the same on every machine, which /etc/ssl/certs is not. Those
// that are to be trusted in part only are left out, because a file cannot say so.
func roots() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return all.Bytes()
}

// writeLayout writes an OCI layout as a tar file.
func writeLayout(index v1.ImageIndex, output string, created time.Time, tag string) error {
	folder, err := os.MkdirTemp(filepath.Dir(output), "layout-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{ocispecs.AnnotationRefName: tag})); err != nil {
		return err
	}
	file, err := os.Create(output)
	if err != nil {
		return err
	}
	w := tar.NewWriter(file)
	root := os.DirFS(folder)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if entry.IsDir() {
			return addFolder(w, name, created)
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return addFile(w, content{name, 0o644, data}, created)
	})
	return errors.Join(err, w.Close(), file.Close())
}

// noBase answers what a base image is like without asking a registry: the last stage has none, and the linter asks for nothing
// that depends on it.
type noBase struct{}

func (noBase) ResolveImageConfig(_ context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	p := opt.ImageOpt.Platform
	if p == nil {
		return "", "", nil, fmt.Errorf("%s: a stage without a platform", ref)
	}
	config := fmt.Appendf(nil, `{"os":%q,"architecture":%q,"config":{},"rootfs":{"type":"layers"}}`, p.OS, p.Architecture)
	return ref, digest.FromBytes(config), config, nil
}
