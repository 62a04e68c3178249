// Command schemas writes JSON schemas for kubeconform: those of Kubernetes from its OpenAPI description, and those
// of custom resources from their definitions. All are strict, so a field that the API does not know is an error.
//
//	schemas OUT SWAGGER.json|CRD.yaml...
//
// kubeconform finds them by -schema-location 'OUT/{{.ResourceKind}}{{.KindSuffix}}.json'.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v2"
)

type schema = map[string]any

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: schemas OUT SWAGGER.json|CRD.yaml")
	}
	out, files := args[0], args[1:]
	if err := os.MkdirAll(out, 0o750); err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		convert := crds
		if filepath.Ext(file) == ".json" {
			convert = kubernetes
		}
		if err := convert(out, text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// kubernetes writes a file for each kind, with the definitions that it refers to.
func kubernetes(out string, text []byte) error {
	var api struct {
		Definitions map[string]schema `json:"definitions"`
	}
	if err := json.Unmarshal(text, &api); err != nil {
		return err
	}
	for name, definition := range api.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 {
			continue // not a top-level object, or one that every group has
		}
		kind, _ := kinds[0].(schema)
		used := schema{}
		collect(name, api.Definitions, used)
		root := schema{"$ref": "#/definitions/" + name, "definitions": used}
		if err := write(out, fmt.Sprint(kind["kind"]), fmt.Sprint(kind["group"]), fmt.Sprint(kind["version"]), root); err != nil {
			return err
		}
	}
	return nil
}

// collect adds the strict form of a definition, and of all definitions that it refers to.
func collect(name string, all map[string]schema, used schema) {
	if used[name] != nil {
		return
	}
	if strings.HasSuffix(name, ".resource.Quantity") || strings.HasSuffix(name, ".intstr.IntOrString") {
		used[name] = schema{"type": []any{"string", "number"}}
		return
	}
	used[name] = true // definitions may be recursive
	used[name] = strict(all[name], func(ref string) { collect(strings.TrimPrefix(ref, "#/definitions/"), all, used) })
}

// crds writes a file for each version of a custom resource definition.
func crds(out string, text []byte) error {
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var crd struct {
			Kind string `yaml:"kind"`
			Spec struct {
				Group string `yaml:"group"`
				Names struct {
					Kind string `yaml:"kind"`
				} `yaml:"names"`
				Versions []struct {
					Name   string `yaml:"name"`
					Schema struct {
						OpenAPI any `yaml:"openAPIV3Schema"`
					} `yaml:"schema"`
				} `yaml:"versions"`
			} `yaml:"spec"`
		}
		if err := yaml.Unmarshal([]byte(document), &crd); err != nil {
			return err
		}
		if crd.Kind != "CustomResourceDefinition" {
			continue
		}
		for _, version := range crd.Spec.Versions {
			root, _ := strict(asJSON(version.Schema.OpenAPI), nil).(schema)
			if properties, _ := root["properties"].(schema); properties != nil {
				properties["metadata"] = schema{"type": "object"} // defined by the API server, not by the definition
			}
			if err := write(out, crd.Spec.Names.Kind, crd.Spec.Group, version.Name, root); err != nil {
				return err
			}
		}
	}
	return nil
}

// asJSON converts YAML maps to JSON maps.
func asJSON(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := schema{}
		for key, value := range v {
			m[fmt.Sprint(key)] = asJSON(value)
		}
		return m
	case []any:
		for i := range v {
			v[i] = asJSON(v[i])
		}
	}
	return v
}

// strict returns a copy of an OpenAPI schema that rejects unknown fields, and reports references.
func strict(v any, referred func(string)) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = strict(v[i], referred)
		}
		return list
	case schema:
		m := schema{}
		for key, value := range v {
			switch ref, isText := value.(string); {
			case key == "$ref" && isText:
				referred(ref)
				m[key] = ref
			case key == "format", key == "default", key == "description", strings.HasPrefix(key, "x-kubernetes-"):
			default:
				m[key] = strict(value, referred)
			}
		}
		if v["x-kubernetes-int-or-string"] == true {
			m["type"] = []any{"integer", "string"}
		}
		_, isSchema := v["properties"].(schema)
		if _, said := v["additionalProperties"]; isSchema && !said && v["x-kubernetes-preserve-unknown-fields"] != true {
			m["additionalProperties"] = false
		}
		return m
	}
	return v
}

func write(out, kind, group, version string, root schema) error {
	group, _, _ = strings.Cut(group, ".")
	parts := []string{strings.ToLower(kind)}
	if group != "" {
		parts = append(parts, group)
	}
	text, err := json.Marshal(root)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, strings.Join(append(parts, version), "-")+".json"), text, 0o600)
}
