package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// hashed names the files that decide what dist contains; vite.config.ts has the same list.
var hashed = []string{"src", "public", "index.html", "package-lock.json", "vite.config.ts"}

// sourceFiles returns the slash-separated paths of all files below the given roots, sorted by bytes.
func sourceFiles(t *testing.T, roots []string) []string {
	t.Helper()
	var names []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				names = append(names, filepath.ToSlash(path))
			}
			return err
		})
		if err != nil {
			t.Fatalf("walk %s: %v", root, err)
		}
	}
	sort.Strings(names)
	return names
}

// sourceHash is SHA-256 over path, zero byte, length, zero byte and content of each file. Line ends are
// taken as they stand: .gitattributes keeps them as LF.
func sourceHash(t *testing.T) string {
	t.Helper()
	sum := sha256.New()
	for _, name := range sourceFiles(t, hashed) {
		content, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatalf("read source: %v", err)
		}
		fmt.Fprintf(sum, "%s\x00%d\x00", name, len(content))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func TestDistIsBuiltFromSrc(t *testing.T) {
	committed, err := fs.ReadFile(Dist(), "SOURCE_HASH")
	if err != nil {
		t.Fatalf("dist has no SOURCE_HASH (run `npm ci --ignore-scripts && npm run build` in web): %v", err)
	}
	want := sourceHash(t)
	if got := strings.TrimSpace(string(committed)); got != want {
		t.Fatalf("dist is stale: it was built from sources %s, the sources now are %s; run `npm run build` in web and commit dist", got, want)
	}
}

func TestPageLoadsOnlyEmbeddedFiles(t *testing.T) {
	page, err := fs.ReadFile(Dist(), "index.html")
	if err != nil {
		t.Fatalf("read index.html: %v", err)
	}
	for _, link := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllSubmatch(page, -1) {
		path := strings.TrimPrefix(string(link[1]), "/")
		if _, err := fs.Stat(Dist(), path); err != nil {
			t.Errorf("index.html loads %q, which is not embedded: %v", link[1], err)
		}
	}
}

// The page's Content-Security-Policy forbids inline scripts and styles: one in the page would silently not run.
func TestPageHasNothingInline(t *testing.T) {
	page, err := fs.ReadFile(Dist(), "index.html")
	if err != nil {
		t.Fatalf("read index.html: %v", err)
	}
	for _, script := range regexp.MustCompile(`(?s)<script([^>]*)>(.*?)</script>`).FindAllSubmatch(page, -1) {
		if !bytes.Contains(script[1], []byte("src=")) || len(bytes.TrimSpace(script[2])) > 0 {
			t.Errorf("inline script in index.html: %s", script[0])
		}
	}
	if regexp.MustCompile(`<style|\sstyle=|\son[a-z]+=`).Match(page) {
		t.Error("index.html has an inline style or event handler, which the page's policy blocks")
	}
}
