package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
)

// AssetsPath is where [Pages.Asset] is to be served: AssetsPath + VERSION + "/" + NAME.
const AssetsPath = "/assets/"

// Asset is a file that pages load.
type Asset struct {
	version     string // a hash of the content
	contentType string
	body        []byte
}

func readAssets() (map[string]*Asset, error) {
	types := map[string]string{
		".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8",
	}
	files, err := staticFiles.ReadDir("static")
	if err != nil {
		return nil, err
	}
	assets := make(map[string]*Asset, len(files))
	for _, f := range files {
		body, err := staticFiles.ReadFile("static/" + f.Name())
		if err != nil {
			return nil, err
		}
		kind := types[path.Ext(f.Name())]
		if kind == "" {
			return nil, fmt.Errorf("static/%s: of no known type", f.Name())
		}
		sum := sha256.Sum256(body)
		assets[f.Name()] = &Asset{version: hex.EncodeToString(sum[:8]), contentType: kind, body: body}
	}
	return assets, nil
}

// assetPath is what pages have in their links.
func (p *Pages) assetPath(name string) (string, error) {
	a := p.assets[name]
	if a == nil {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return AssetsPath + a.version + "/" + name, nil
}

// Asset sends an asset and tells whether there is one of this name. A version that is not ours, of another authd during an
// update say, gets what there is; only our own may be kept.
func (p *Pages) Asset(w http.ResponseWriter, version, name string) (found bool, err error) {
	a := p.assets[name]
	if a == nil {
		return false, nil
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'") // an SVG is a document, too
	if version == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(a.body)
	return true, err
}
