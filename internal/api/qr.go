package api

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the white border that readers need, in modules (ISO/IEC 18004 §9.1).
const quiet = 4

// qrCode encodes a text, with more redundancy where it is short.
func qrCode(text string) (*qr.Code, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		code, err = qr.Encode(text, qr.L)
	}
	if err != nil {
		return nil, fmt.Errorf("draw QR code of %d bytes: %w", len(text), err)
	}
	return code, nil
}

// QRSVG draws a text as one crisp SVG image, black on white whatever the theme:
// many readers refuse inverted codes.
func QRSVG(text string) (string, error) {
	code, err := qrCode(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	size := code.Size + 2*quiet
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`, size, size)
	fmt.Fprintf(&out, `<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="`, size, size)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			width := 0
			for code.Black(x+width, y) {
				width++
			}
			if width > 0 {
				fmt.Fprintf(&out, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, width, width)
				x += width
			}
		}
	}
	out.WriteString(`"/></svg>`)
	return out.String(), nil
}

// QRText draws a text for a terminal, two modules per character. It paints the
// light modules, so that it is right on a dark background and sets its own
// colours where escapes are allowed.
func QRText(text string) (string, error) {
	code, err := qrCode(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		for x := -quiet; x < code.Size+quiet; x++ {
			out.WriteString(halfBlock(!code.Black(x, y), !code.Black(x, y+1)))
		}
		out.WriteByte('\n')
	}
	return out.String(), nil
}

func halfBlock(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}
