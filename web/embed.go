// Package web holds the user interface that a node serves to its own user's browser.
//
// The sources are TypeScript under src; what the browser loads is the built copy in dist, which is
// committed so that a plain clone builds with Go alone. A test proves that dist was built from src.
// The package serves nothing itself: package api decides on addresses, headers and tokens.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var embedded embed.FS

// Dist returns the built user interface: index.html and what it loads, by their paths relative to the
// page ("index.html", "assets/app.js", "assets/app.css").
func Dist() fs.FS {
	dist, err := fs.Sub(embedded, "dist")
	if err != nil {
		panic("web: the embedded dist folder is missing: " + err.Error())
	}
	return dist
}
