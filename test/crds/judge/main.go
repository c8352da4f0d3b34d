// What the real API server's own code says of a CRD and of objects: `judge <crd.json>` reads one request per line.
// Build it outside of the checkout (about two minutes): copy this folder, `go mod tidy && go build -o judge .`.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	apivalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

type request struct {
	Object      json.RawMessage `json:"object"`
	Old         json.RawMessage `json:"old"`
	Subresource string          `json:"subresource"`
}

type cause struct {
	Reason  string `json:"reason"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

type verdict struct {
	Unknown []string `json:"unknown"`
	Causes  []cause  `json:"causes"`
	Spec    any      `json:"spec,omitempty"`
}

type validator interface {
	ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList
}

func main() {
	crd := readDefinition(os.Args[1])
	version := crd.Spec.Versions[0]
	var internal apiextensions.CustomResourceValidation
	must(v1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, &internal, nil))
	structural, err := schema.NewStructural(internal.OpenAPIV3Schema)
	must(err)
	whole, _, err := apivalidation.NewSchemaValidator(internal.OpenAPIV3Schema)
	must(err)
	statusSchema := internal.OpenAPIV3Schema.Properties["status"]
	status, _, err := apivalidation.NewSchemaValidator(&statusSchema)
	must(err)
	kind := runtimeschema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
	strategy := customresource.NewStrategy(nil, true, kind, whole, status, structural, &apiextensions.CustomResourceSubresourceStatus{}, nil, nil)

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		var asked request
		must(json.Unmarshal(lines.Bytes(), &asked))
		object := decoded(asked.Object)
		unknown := pruning.PruneWithOptions(object.Object, structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
		defaulting.PruneNonNullableNullsWithoutDefaults(object.Object, structural)
		defaulting.Default(object.Object, structural)

		var errs field.ErrorList
		if len(asked.Old) == 0 {
			errs = strategy.Validate(context.Background(), object)
		} else {
			var updates validator = strategy
			if asked.Subresource == "status" {
				updates = customresource.NewStatusStrategy(strategy)
			}
			old := decoded(asked.Old)
			defaulting.Default(old.Object, structural)
			errs = updates.ValidateUpdate(context.Background(), object, old)
		}
		said := verdict{Unknown: append([]string{}, unknown...), Causes: []cause{}}
		for _, e := range errs {
			said.Causes = append(said.Causes, cause{string(e.Type), e.Field, e.ErrorBody()})
		}
		if len(errs) == 0 {
			said.Spec = object.Object["spec"]
		}
		must(out.Encode(said))
	}
}

// readDefinition exits 3 when an API server would not take the definition, the cost of its rules included.
func readDefinition(path string) *v1.CustomResourceDefinition {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	data, err := os.ReadFile(path)
	must(err)
	crd := &v1.CustomResourceDefinition{}
	must(json.Unmarshal(data, crd))
	scheme.Default(crd)
	crd.Status.StoredVersions = []string{crd.Spec.Versions[0].Name}
	internal := &apiextensions.CustomResourceDefinition{}
	must(scheme.Convert(crd, internal, nil))
	if errs := validation.ValidateCustomResourceDefinition(context.Background(), internal); len(errs) > 0 {
		for _, e := range errs {
			fmt.Fprintln(os.Stderr, e)
		}
		os.Exit(3)
	}
	return crd
}

func decoded(data []byte) *unstructured.Unstructured {
	object := map[string]any{}
	must(utiljson.Unmarshal(data, &object))
	return &unstructured.Unstructured{Object: object}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
