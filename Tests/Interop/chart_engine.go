// Renders the chart with Go's own text/template and the functions that Helm takes from sprig, so that chart_render.py
// can be compared with it: JSON of the data on standard input, files and their text as JSON on standard output.
//
// Built with Debian's packages golang-go, golang-github-masterminds-sprig-dev and golang-k8s-sigs-yaml-dev:
// GO111MODULE=off GOPATH=/usr/share/gocode go build -o chart_engine Tests/Interop/chart_engine.go
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

// files of the chart beside its templates, as .Files has them.
type files struct{ folder string }

func (f files) Get(name string) string {
	bytes, err := os.ReadFile(filepath.Join(f.folder, name))
	if err != nil {
		return ""
	}
	return string(bytes)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	folder := os.Args[1]
	var data map[string]interface{}
	fail(json.NewDecoder(os.Stdin).Decode(&data))
	data["Files"] = files{folder}
	found, _ := data["Found"].(map[string]interface{})
	// As Helm does it: what is not there is nothing rather than an error, and prints as "<no value>", which is removed.
	all := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	functions["toYaml"] = func(value interface{}) string {
		bytes, err := yaml.Marshal(value)
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(string(bytes), "\n")
	}
	functions["fromYaml"] = func(text string) map[string]interface{} {
		value := map[string]interface{}{}
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			value["Error"] = err.Error()
		}
		return value
	}
	functions["include"] = func(name string, dot interface{}) (string, error) {
		var text strings.Builder
		err := all.ExecuteTemplate(&text, name, dot)
		return text.String(), err
	}
	functions["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return value, errors.New(message)
		}
		return value, nil
	}
	functions["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	functions["lookup"] = func(version, kind, namespace, name string) map[string]interface{} {
		object, _ := found[kind+"/"+namespace+"/"+name].(map[string]interface{})
		return object
	}
	all.Funcs(functions)
	paths, err := filepath.Glob(filepath.Join(folder, "templates", "*"))
	fail(err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		fail(err)
		_, err = all.New(filepath.Base(path)).Parse(string(text))
		fail(err)
	}
	texts := map[string]string{}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var text strings.Builder
		fail(all.ExecuteTemplate(&text, name, data))
		texts[name] = strings.ReplaceAll(text.String(), "<no value>", "")
	}
	fail(json.NewEncoder(os.Stdout).Encode(texts))
}
