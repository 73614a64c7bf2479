package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The members of an SPDX 2.3 document that a bill of materials needs.
type spdxDocument struct {
	Version       string             `json:"spdxVersion"`
	DataLicense   string             `json:"dataLicense"`
	ID            string             `json:"SPDXID"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	Creation      spdxCreation       `json:"creationInfo"`
	Packages      []spdxPackage      `json:"packages"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Version       string         `json:"versionInfo"`
	Purpose       string         `json:"primaryPackagePurpose"`
	Download      string         `json:"downloadLocation"`
	FilesAnalyzed bool           `json:"filesAnalyzed"`
	Concluded     string         `json:"licenseConcluded"`
	Declared      string         `json:"licenseDeclared"`
	Copyright     string         `json:"copyrightText"`
	Checksums     []spdxChecksum `json:"checksums,omitempty"`
	Refs          []spdxRef      `json:"externalRefs,omitempty"`
	Comment       string         `json:"comment,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

const (
	authdID      = "SPDXRef-authd"
	noAssertion  = "NOASSERTION"
	projectURL   = "https://github.com/authd-project/authd"
	spdxMadeWith = "Tool: authd-release"
)

// billOfMaterials names what is in the program of one platform, as SPDX 2.3 in JSON. The program itself is the witness:
// its list of modules is the linker's.
func billOfMaterials(s source, arch string, root rootFS) ([]byte, error) {
	digest := sha256.Sum256(root.program())
	sum := hex.EncodeToString(digest[:])
	d := spdxDocument{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: "SPDXRef-DOCUMENT",
		Name:      fmt.Sprintf("authd %s linux/%s", s.version, arch),
		Namespace: fmt.Sprintf("%s/spdx/%s", projectURL, sum), // unique, as one program has one bill
		Creation:  spdxCreation{Created: s.time.Format(time.RFC3339), Creators: []string{spdxMadeWith}},
		Packages: []spdxPackage{{
			ID: authdID, Name: "authd", Version: s.version, Purpose: "APPLICATION", Download: noAssertion,
			Concluded: "Apache-2.0", Declared: "Apache-2.0", Copyright: noAssertion,
			Checksums: []spdxChecksum{{"SHA256", sum}},
			Refs:      []spdxRef{purl("github.com/authd-project/authd", s.version)},
			Comment:   "/" + programPath,
		}},
		Relationships: []spdxRelationship{{"SPDXRef-DOCUMENT", "DESCRIBES", authdID}},
	}
	for _, m := range root.modules {
		p := m.spdx()
		d.Packages = append(d.Packages, p)
		d.Relationships = append(d.Relationships, spdxRelationship{authdID, "STATIC_LINK", p.ID})
	}
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

func (m module) spdx() spdxPackage {
	p := spdxPackage{
		ID:   "SPDXRef-" + strings.Map(spdxRune, m.Path),
		Name: m.Path, Version: m.Version, Purpose: "LIBRARY", Download: "https://" + m.Path,
		Concluded: expression(m.licence), Declared: expression(m.licence), Copyright: noAssertion,
		Refs: []spdxRef{purl(m.Path, m.Version)},
	}
	if m.Path == goModule {
		p.Download = "https://go.dev/dl/"
	} else {
		p.Comment = "go.sum: " + m.Sum // a digest of the files, not of an archive
	}
	return p
}

// purl names a Go module for those who look for known vulnerabilities.
func purl(path, version string) spdxRef {
	locator := "pkg:golang/" + path
	if path == goModule {
		locator, version = "pkg:golang/stdlib", strings.TrimPrefix(version, "go")
	}
	return spdxRef{"PACKAGE-MANAGER", "purl", locator + "@" + strings.ReplaceAll(version, "+", "%2B")}
}

// spdxRune replaces what an SPDX identifier may not contain.
func spdxRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
		return r
	}
	return '-'
}

func (r rootFS) program() []byte {
	for _, f := range r.files {
		if f.name == programPath {
			return f.content
		}
	}
	return nil
}
