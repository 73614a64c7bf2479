package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/authd-project/authd/httpapi/web"
)

func TestPagesSettings(t *testing.T) {
	for _, below := range []string{"shop", "//evil/", "/shop", "https://evil/", "/shop/../"} {
		if _, err := load(t, nil, "--return-to", below); err == nil || !strings.Contains(err.Error(), "return-to") {
			t.Errorf("return-to %q: %v", below, err)
		}
	}
	if _, err := load(t, nil, "--pages=false", "--return-to", "/shop/"); err == nil {
		t.Error("return-to without pages is accepted")
	}
	for _, c := range []struct {
		args []string
		site string
	}{
		{nil, "auth.example.com"},
		{[]string{"--site-name", "The Shop"}, "The Shop"},
	} {
		cfg, err := load(t, nil, append(c.args, "--return-to", "/shop/")...)
		if err != nil {
			t.Fatal(err)
		}
		pages, err := cfg.PagesConfig.open("https://auth.example.com")
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := pages.Write(w, http.StatusOK, web.Page{Name: "notice", Title: "Hello", Data: web.Notice{}}); err != nil {
			t.Fatal(err)
		}
		if want := "<title>Hello · " + c.site + "</title>"; !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
	cfg, err := load(t, nil, "--pages=false")
	if err != nil {
		t.Fatal(err)
	}
	if pages, err := cfg.PagesConfig.open("https://auth.example.com"); pages != nil || err != nil {
		t.Errorf("pages=false: %v, %v", pages, err)
	}
}
