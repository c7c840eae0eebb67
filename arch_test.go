package demes_test

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/demes-chat/demes"

// layer is one package of ARCHITECTURE.md's list.
type layer struct {
	dir   string
	pure  bool
	block int
}

// readLayers reads the list between "<!-- layers -->" and the end of its code
// block. Blocks are divided by empty lines, the lowest first.
func readLayers(t *testing.T) []layer {
	t.Helper()
	file, err := os.Open("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var layers []layer
	block, inside := 0, false
	for scan := bufio.NewScanner(file); scan.Scan(); {
		line := strings.TrimSpace(scan.Text())
		switch {
		case line == "<!-- layers -->":
			inside = true
		case !inside || line == "```" && len(layers) == 0:
		case line == "```":
			return layers
		case line == "":
			block++
		default:
			fields := strings.Fields(line)
			layers = append(layers, layer{dir: fields[0], pure: len(fields) > 1 && fields[1] == "pure", block: block})
		}
	}
	t.Fatal("ARCHITECTURE.md has no list of layers")
	return nil
}

// layerOf finds the layer of a package folder: its own, or that of the folder
// above it.
func layerOf(layers []layer, dir string) (layer, bool) {
	for d := dir; ; d = filepath.Dir(d) {
		for _, l := range layers {
			if l.dir == d && (d != "." || dir == ".") {
				return l, true
			}
		}
		if d == "." || d == "/" {
			return layer{}, false
		}
	}
}

func TestEveryPackageKeepsToItsLayer(t *testing.T) {
	layers := readLayers(t)
	for path, file := range sources(t) {
		dir := filepath.Dir(path)
		own, listed := layerOf(layers, dir)
		if !listed {
			t.Errorf("%s: the package is not in ARCHITECTURE.md's list of layers", dir)
			continue
		}
		for _, spec := range file.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			rest, ours := strings.CutPrefix(imported, module)
			if !ours {
				checkPure(t, path, own, imported)
				continue
			}
			target := strings.TrimPrefix(rest, "/")
			if target == "" {
				target = "."
			}
			other, ok := layerOf(layers, target)
			if ok && other.dir != own.dir && other.block >= own.block {
				t.Errorf("%s imports %s: a package imports only from blocks above its own", path, target)
			}
		}
		if own.pure {
			checkStatements(t, path, file)
		}
	}
}

// impure are the imports that a pure package may not have, with the reason.
var impure = map[string]string{
	"sync": "a lock", "sync/atomic": "a lock", "os": "a file", "net/http": "a socket", "math/rand": "global randomness",
	"io/ioutil": "a file", "os/exec": "a process", "log": "global output", "log/slog": "global output", "context": "waiting",
}

// randomAllowed are the pure packages whose keys need real randomness.
var randomAllowed = []string{"mls"}

func checkPure(t *testing.T, path string, own layer, imported string) {
	t.Helper()
	if !own.pure {
		return
	}
	if why, is := impure[imported]; is {
		t.Errorf("%s imports %s: a pure package has no %s", path, imported, why)
	}
	if imported == "crypto/rand" && !slices.Contains(randomAllowed, own.dir) {
		t.Errorf("%s imports crypto/rand: randomness comes in as an argument", path)
	}
}

// checkStatements refuses what a pure package may not do.
func checkStatements(t *testing.T, path string, file *ast.File) {
	t.Helper()
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s starts a goroutine in a pure package", path)
		case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
			t.Errorf("%s uses a channel in a pure package", path)
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Sleep", "After", "NewTimer", "NewTicker", "Since", "AfterFunc"}, n.Sel.Name) {
				t.Errorf("%s reads a clock (time.%s) in a pure package", path, n.Sel.Name)
			}
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "net" && strings.HasPrefix(n.Sel.Name, "Dial") || ok && x.Name == "net" && strings.HasPrefix(n.Sel.Name, "Listen") {
				t.Errorf("%s opens a socket (net.%s) in a pure package", path, n.Sel.Name)
			}
		}
		return true
	})
}

// sources parses every file of the module that is not a test.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	out := map[string]*ast.File{}
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && path != "."):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out[path] = file
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCitedAnchorsExist keeps code and specification together: every anchor that
// the code cites is a heading of the page it names.
func TestCitedAnchorsExist(t *testing.T) {
	cite := regexp.MustCompile(`(docs/[a-z]+\.md)#([a-z0-9-]+)`)
	heads := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "dist" || entry.Name() == ".git"):
			return filepath.SkipDir
		case entry.IsDir() || !slices.Contains([]string{".go", ".proto", ".ts", ".tsx", ".md"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range cite.FindAllStringSubmatch(string(text), -1) {
			if heads[m[1]] == nil {
				heads[m[1]] = anchors(t, m[1])
			}
			if !slices.Contains(heads[m[1]], m[2]) {
				t.Errorf("%s cites %s#%s, which is no heading there", path, m[1], m[2])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// anchors are the headings of a page, as links name them.
func anchors(t *testing.T, page string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Errorf("cited page: %v", err)
		return []string{""}
	}
	drop := regexp.MustCompile(`[^a-z0-9 -]`)
	for line := range strings.Lines(string(text)) {
		if head, is := strings.CutPrefix(line, "#"); is {
			head = strings.ToLower(strings.TrimSpace(strings.TrimLeft(head, "#")))
			out = append(out, strings.ReplaceAll(drop.ReplaceAllString(head, ""), " ", "-"))
		}
	}
	return out
}
