package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// mediaTypes are those of the files that a user interface is made of. They do
// not come from the operating system, which is wrong about some of them.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".json": "application/json", ".webmanifest": "application/manifest+json", ".map": "application/json",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

// ui serves the built user interface from memory. Only names that the build
// holds exist: no path leads anywhere else.
type ui struct {
	files map[string]uiFile // by request path
}

type uiFile struct {
	content []byte
	media   string
	tag     string
}

func newUI(dist fs.FS) *ui {
	u := &ui{files: map[string]uiFile{}}
	if dist == nil {
		return u
	}
	_ = fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || mediaTypes[path.Ext(name)] == "" {
			return nil // what cannot be read is not served
		}
		if content, err := fs.ReadFile(dist, name); err == nil {
			sum := sha256.Sum256(content)
			u.files["/"+name] = uiFile{content, mediaTypes[path.Ext(name)], `"` + hex.EncodeToString(sum[:16]) + `"`}
		}
		return nil
	})
	if index, ok := u.files["/index.html"]; ok {
		u.files["/"] = index
	}
	return u
}

func (u *ui) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeProblem(w, newProblem(http.StatusMethodNotAllowed, codeMethod, "This address does not take "+shown(r.Method, 16), "It takes GET, HEAD."))
		return
	}
	file, ok := u.files[r.URL.Path]
	if !ok {
		writeProblem(w, u.missing(r.URL.Path))
		return
	}
	w.Header().Set("Content-Type", file.media)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", file.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.content))
}

func (u *ui) missing(path string) *Problem {
	if len(u.files) == 0 && strings.Trim(path, "/") == "" {
		return newProblem(http.StatusNotFound, codeNotFound, "This build has no user interface", "Build it in the folder web, or use the command line.")
	}
	return newProblem(http.StatusNotFound, codeNotFound, "There is nothing at this address", "The page is at /.")
}
