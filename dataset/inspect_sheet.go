package dataset

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strings"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// SheetClasses is how many classes a contact sheet shows at most.
const SheetClasses = 1000

const (
	sheetMargin = 12
	sheetGap    = 4   // between two pictures
	sheetLabel  = 120 // of a class, in pixels: 16 letters of the font, and space
	sheetFoot   = 20  // for a line of text below
)

// sheetLayout is how many pictures of a class a sheet shows, in tiles of which side, and how many columns of classes it has.
type sheetLayout struct{ samples, tile, columns, rows int }

// layOut chooses fewer and smaller pictures the more classes there are, and so many columns that the sheet is about as wide as high.
func layOut(classes int) sheetLayout {
	l := sheetLayout{samples: 12, tile: 64}
	switch {
	case classes > 120:
		l.samples, l.tile = 4, 32
	case classes > 20:
		l.samples, l.tile = 6, 48
	}
	columns := math.Sqrt(float64(classes*l.rowHeight()) / float64(l.columnWidth()))
	l.columns = max(1, min(classes, int(math.Round(columns))))
	l.rows = (classes + l.columns - 1) / l.columns
	return l
}

func (l sheetLayout) rowHeight() int   { return l.tile + sheetGap }
func (l sheetLayout) columnWidth() int { return sheetLabel + l.samples*(l.tile+sheetGap) + sheetMargin }

// ContactSheet draws some images of every class in a row, beside the name of the class and how many images it has: twelve of up to
// 20 classes, fewer and smaller ones of more, of [SheetClasses] classes at most. They are spread evenly over the images of the class in
// the order of the set. A sheet has at most 12 million pixels.
func ContactSheet(s *Images) image.Image {
	classes := len(s.Classes)
	shown := min(classes, SheetClasses)
	l := layOut(shown)
	foot := 0
	if shown < classes {
		foot = sheetFoot
	}
	sheet := image.NewRGBA(image.Rect(0, 0, sheetMargin+l.columns*l.columnWidth(), 2*sheetMargin+l.rows*l.rowHeight()-sheetGap+foot))
	draw.Draw(sheet, sheet.Bounds(), image.NewUniform(color.Gray{232}), image.Point{}, draw.Src) // white pictures end somewhere, too
	members := make([][]int, classes)
	for i, label := range s.Labels {
		members[label] = append(members[label], i)
	}
	for k := range shown {
		corner := image.Pt(sheetMargin+k/l.rows*l.columnWidth(), sheetMargin+k%l.rows*l.rowHeight())
		middle := corner.Y + l.tile/2
		sheetText(sheet, corner.X, middle-3, color.Black, sheetName(s.Classes[k], k))
		sheetText(sheet, corner.X, middle+11, color.Gray{90}, fmt.Sprint(len(members[k])))
		for column := range min(l.samples, len(members[k])) {
			i := members[k][column*len(members[k])/min(l.samples, len(members[k]))]
			at := corner.Add(image.Pt(sheetLabel+column*(l.tile+sheetGap), 0))
			sheetTile(sheet, image.Rectangle{at, at.Add(image.Pt(l.tile, l.tile))}, s.Image(i))
		}
	}
	if foot > 0 {
		sheetText(sheet, sheetMargin, sheet.Bounds().Dy()-sheetMargin, color.Gray{90}, fmt.Sprintf("the first %d of %d classes", shown, classes))
	}
	return sheet
}

// sheetTile draws the picture as large as it fits into the middle of the tile: small ones pixel by pixel, enlarged by a whole number.
func sheetTile(sheet draw.Image, tile image.Rectangle, m image.Image) {
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	var scaler draw.Scaler = draw.CatmullRom
	if fit := tile.Dx() / max(w, h); fit >= 1 {
		w, h, scaler = fit*w, fit*h, draw.NearestNeighbor
	} else {
		longest := max(w, h)
		w, h = max(1, w*tile.Dx()/longest), max(1, h*tile.Dx()/longest)
	}
	at := tile.Min.Add(image.Pt((tile.Dx()-w)/2, (tile.Dy()-h)/2))
	scaler.Scale(sheet, image.Rectangle{at, at.Add(image.Pt(w, h))}, m, m.Bounds(), draw.Over, nil)
}

// sheetName is the name of a class as the sheet has room and letters for it: the font has those of ASCII, and a name with others
// is led by the number of the class.
func sheetName(name string, class int) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		name = fmt.Sprintf("%d %s", class, name)
	}
	letters := []rune(name)
	if most := (sheetLabel - sheetGap) / basicfont.Face7x13.Advance; len(letters) > most {
		letters = append(letters[:most-2], '.', '.')
	}
	return string(letters)
}

func sheetText(sheet draw.Image, x, y int, c color.Color, text string) {
	d := font.Drawer{Dst: sheet, Src: image.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	d.DrawString(text)
}
