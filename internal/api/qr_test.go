package api

import (
	"encoding/xml"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"rsc.io/qr"
)

const sampleLink = "https://demes.example/join#AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4_QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9g"

// modules reads a drawing back into the dark modules of the code.
func modules(t *testing.T, svg string, size int) [][]bool {
	t.Helper()
	rows := make([][]bool, size)
	for y := range rows {
		rows[y] = make([]bool, size)
	}
	number := func(text string) int { n, _ := strconv.Atoi(text); return n }
	for _, bar := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-\d+z`).FindAllStringSubmatch(svg, -1) {
		for x := number(bar[1]); x < number(bar[1])+number(bar[3]); x++ {
			rows[number(bar[2])][x] = true
		}
	}
	return rows
}

func TestQRSVGDrawsEveryModule(t *testing.T) {
	for _, link := range []string{"x", sampleLink, strings.Repeat(sampleLink, 8), strings.Repeat("é", 1300)} {
		svg, err := QRSVG(link)
		if err != nil {
			t.Fatalf("%d bytes: %v", len(link), err)
		}
		if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil {
			t.Fatalf("no XML: %v", err)
		}
		code, err := qrCode(link)
		if err != nil {
			t.Fatal(err)
		}
		drawn := modules(t, svg, code.Size+2*quiet)
		for y, row := range drawn {
			for x, dark := range row {
				if dark != code.Black(x-quiet, y-quiet) {
					t.Fatalf("%d bytes: module %d,%d is drawn dark: %v", len(link), x, y, dark)
				}
			}
		}
	}
}

func TestQRTextDrawsEveryModule(t *testing.T) {
	text, err := QRText(sampleLink)
	if err != nil {
		t.Fatal(err)
	}
	code, _ := qr.Encode(sampleLink, qr.M)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != (code.Size+2*quiet+1)/2 {
		t.Fatalf("%d lines for %d modules", len(lines), code.Size)
	}
	for i, line := range lines {
		if utf8.RuneCountInString(line) != code.Size+2*quiet {
			t.Fatalf("line %d has %d characters", i, utf8.RuneCountInString(line))
		}
		for x, r := range []rune(line) {
			upper, lower := code.Black(x-quiet, 2*i-quiet), code.Black(x-quiet, 2*i-quiet+1)
			if want := []rune(halfBlock(!upper, !lower))[0]; r != want {
				t.Fatalf("line %d, column %d: %c, want %c", i, x, r, want)
			}
		}
	}
}

func TestQRRefusesWhatDoesNotFit(t *testing.T) {
	if _, err := QRSVG(strings.Repeat("x", 3000)); err == nil {
		t.Error("3,000 bytes fit no QR code")
	}
}
