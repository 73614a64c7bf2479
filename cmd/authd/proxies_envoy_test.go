package main_test

import (
	"encoding/json"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Envoy cannot be run here, but its own types read what it is told, and check it.
func TestEnvoyConfiguration(t *testing.T) {
	t.Parallel()
	var text any
	if err := yaml.Unmarshal([]byte(deployFile(t, "envoy.yaml")), &text); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var config bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	resources := config.GetStaticResources()
	var hcm hcmv3.HttpConnectionManager
	var authz extauthzv3.ExtAuthz
	unpack(t, resources.GetListeners()[0].GetFilterChains()[0].GetFilters()[0].GetTypedConfig(), &hcm)
	unpack(t, hcm.GetHttpFilters()[0].GetTypedConfig(), &authz)
	unpack(t, hcm.GetHttpFilters()[1].GetTypedConfig(), &routerv3.Router{})
	authd := resources.GetClusters()[0]
	unpack(t, authd.GetTypedExtensionProtocolOptions()["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"], &httpv3.HttpProtocolOptions{})
	if err := config.ValidateAll(); err != nil {
		t.Error(err)
	}
	if name := authz.GetGrpcService().GetEnvoyGrpc().GetClusterName(); name != authd.GetName() || authz.GetFailureModeAllow() {
		t.Errorf("asked is %q, and a failure lets requests through: %v", name, authz.GetFailureModeAllow())
	}
}

type validated interface {
	proto.Message
	ValidateAll() error
}

func unpack(t *testing.T, packed *anypb.Any, into validated) {
	t.Helper()
	if err := packed.UnmarshalTo(into); err != nil {
		t.Fatal(err)
	}
	if err := into.ValidateAll(); err != nil {
		t.Error(err)
	}
}
