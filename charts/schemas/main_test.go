package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSchemas(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	swagger := file("swagger.json", `{"definitions": {
		"v1.Tree": {"type": "object", "description": "d", "properties": {
			"branch": {"$ref": "#/definitions/v1.Branch"},
			"port": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
			"labels": {"type": "object", "additionalProperties": {"type": "string"}}},
			"x-kubernetes-group-version-kind": [{"group": "wood.k8s.io", "kind": "Tree", "version": "v1"}]},
		"v1.Branch": {"type": "object", "properties": {"next": {"$ref": "#/definitions/v1.Branch"}}},
		"v1.Other": {"type": "object", "properties": {}}}}`)
	crd := file("crd.yaml", `
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: Rate}
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          properties:
            metadata: {type: object, properties: {}}
            spec:
              type: object
              properties:
                any: {type: object, properties: {}, x-kubernetes-preserve-unknown-fields: true}
                size: {x-kubernetes-int-or-string: true}
`)
	out := filepath.Join(dir, "out")
	if err := run([]string{out, swagger, crd}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"tree-wood-v1.json": `{"$ref": "#/definitions/v1.Tree", "definitions": {
			"v1.Tree": {"type": "object", "additionalProperties": false, "properties": {
				"branch": {"$ref": "#/definitions/v1.Branch"},
				"port": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
				"labels": {"type": "object", "additionalProperties": {"type": "string"}}}},
			"v1.Branch": {"type": "object", "additionalProperties": false, "properties": {"next": {"$ref": "#/definitions/v1.Branch"}}},
			"io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "number"]}}}`,
		"rate-example-v1.json": `{"type": "object", "additionalProperties": false, "properties": {
			"metadata": {"type": "object"},
			"spec": {"type": "object", "additionalProperties": false, "properties": {
				"any": {"type": "object", "properties": {}},
				"size": {"type": ["integer", "string"]}}}}}`,
	} {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		var g, w any
		if err := json.Unmarshal(text, &g); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want), &w); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(w, g); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
	for _, args := range [][]string{nil, {out}, {out, file("broken.json", "{")}, {out, file("broken.yaml", "{")}, {out, filepath.Join(dir, "none")}} {
		if run(args) == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
