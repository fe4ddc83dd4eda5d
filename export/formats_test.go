package export

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestNumPy(t *testing.T) {
	for _, n := range []int{0, 1, 7, 1000, 123456} {
		values := make([]float64, n)
		for k := range values {
			values[k] = 1 / float64(k+1)
		}
		var b bytes.Buffer
		if err := WriteNumPy(&b, values); err != nil {
			t.Fatal(err)
		}
		raw := b.Bytes()
		header := int(binary.LittleEndian.Uint16(raw[8:]))
		text := string(raw[10 : 10+header])
		if string(raw[:8]) != "\x93NUMPY\x01\x00" || (10+header)%64 != 0 || !strings.HasSuffix(text, "\n") || !strings.Contains(text, "'descr': '<f8'") {
			t.Fatalf("header %q", raw[:10+header])
		}
		back := make([]float64, n)
		if err := binary.Read(bytes.NewReader(raw[10+header:]), binary.LittleEndian, back); err != nil || len(raw) != 10+header+8*n {
			t.Fatalf("%d values: %v", n, err)
		}
		for k := range back {
			if back[k] != values[k] {
				t.Fatalf("value %d is %v", k, back[k])
			}
		}
	}
	var b bytes.Buffer
	if err := WriteNumPy(&b, []float32{1}); err != nil || !strings.Contains(b.String(), "'<f4'") || !strings.HasSuffix(b.String(), "\x00\x00\x80\x3f") {
		t.Errorf("float32: %q, %v", b.String(), err)
	}
}

func TestSafetensors(t *testing.T) {
	tensors := []Tensor{{"b.weight", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}}, {"a", []int{}, []float32{7}}}
	var b bytes.Buffer
	if err := WriteSafetensors(&b, tensors, map[string]string{"net": "x"}); err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	n := int(binary.LittleEndian.Uint64(raw))
	var header map[string]struct {
		Type    string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
		Net     string `json:"net"`
	}
	if err := json.Unmarshal(raw[8:8+n], &header); err != nil || n%8 != 0 {
		t.Fatalf("%v, header of %d bytes", err, n)
	}
	if header["__metadata__"].Net != "x" || len(header) != 3 || len(raw) != 8+n+28 {
		t.Errorf("%v, %d bytes", header, len(raw))
	}
	for _, want := range tensors {
		h := header[want.Name]
		if h.Type != "F32" || len(h.Shape) != len(want.Dims) || h.Shape == nil {
			t.Errorf("%s: %+v", want.Name, h)
		}
		for k, v := range want.Data {
			if got := math.Float32frombits(binary.LittleEndian.Uint32(raw[8+n+h.Offsets[0]+4*k:])); got != v {
				t.Errorf("%s[%d] is %v", want.Name, k, got)
			}
		}
	}
	for name, bad := range map[string][]Tensor{
		"twice":    {{"a", []int{1}, []float32{1}}, {"a", []int{1}, []float32{1}}},
		"reserved": {{"__metadata__", []int{1}, []float32{1}}},
		"size":     {{"a", []int{2}, []float32{1}}},
	} {
		if WriteSafetensors(io.Discard, bad, map[string]string{"a": "b"}) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParquet(t *testing.T) {
	const n = 2500 // more than are written at once
	columns := []Column{{Name: "index"}, {Name: "id"}, {Name: "delta"}, {Name: "p_value", Absent: make([]bool, n)}}
	for k := range n {
		columns[0].Ints = append(columns[0].Ints, int64(3*k))
		columns[1].Texts = append(columns[1].Texts, strings.Repeat("ä", k%5)+"/x")
		columns[2].Floats = append(columns[2].Floats, math.Sin(float64(k)))
		columns[3].Floats = append(columns[3].Floats, float64(k))
		columns[3].Absent[k] = k%3 == 0
	}
	var b, again bytes.Buffer
	for _, out := range []io.Writer{&b, &again} {
		if err := WriteParquet(out, "scores", columns, map[string]string{"about": "what", "more": "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("the same table gives other bytes")
	}
	type row struct {
		Index int64    `parquet:"index"`
		ID    string   `parquet:"id"`
		Delta float64  `parquet:"delta"`
		P     *float64 `parquet:"p_value,optional"`
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if about, _ := f.Lookup("about"); about != "what" {
		t.Errorf("metadata %q", about)
	}
	for k, c := range f.Schema().Columns() {
		if c[0] != columns[k].Name {
			t.Errorf("column %d is %s", k, c[0])
		}
	}
	rows, err := parquet.Read[row](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(rows) != n {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for k, r := range rows {
		if r.Index != columns[0].Ints[k] || r.ID != columns[1].Texts[k] || r.Delta != columns[2].Floats[k] || (r.P == nil) != columns[3].Absent[k] || r.P != nil && *r.P != float64(k) {
			t.Fatalf("row %d: %+v", k, r)
		}
	}
	if WriteParquet(io.Discard, "x", []Column{{Name: "a", Ints: []int64{1}}, {Name: "b"}}, nil) == nil || WriteParquet(io.Discard, "x", nil, nil) == nil {
		t.Error("a table that is none was written")
	}
}

// fields are those of a message, by number.
func fields(t *testing.T, message []byte) map[protowire.Number][]any {
	t.Helper()
	all := map[protowire.Number][]any{}
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		message = message[n:]
		var v any
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			v, n = protowire.ConsumeFixed32(message)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(message)
		default:
			v, n = protowire.ConsumeBytes(message)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		message = message[n:]
		all[number] = append(all[number], v)
	}
	return all
}

// values are the summary values of an event file, whose checksums it checks.
func values(t *testing.T, raw []byte) []map[protowire.Number][]any {
	t.Helper()
	var all []map[protowire.Number][]any
	for len(raw) > 0 {
		n := binary.LittleEndian.Uint64(raw)
		message := raw[12 : 12+n]
		if binary.LittleEndian.Uint32(raw[8:]) != maskedChecksum(raw[:8]) || binary.LittleEndian.Uint32(raw[12+n:]) != maskedChecksum(message) {
			t.Fatal("a checksum is wrong")
		}
		raw = raw[16+n:]
		event := fields(t, message)
		if summary := event[eventSummary]; summary != nil {
			v := fields(t, fields(t, summary[0].([]byte))[summaryValue][0].([]byte))
			v[100] = event[eventStep]
			all = append(all, v)
		}
	}
	return all
}

func TestEvents(t *testing.T) {
	var b bytes.Buffer
	e, err := NewEvents(&b, 12.5)
	if err != nil {
		t.Fatal(err)
	}
	// The first bytes of every event file that TensorFlow writes: the length of the first message and its masked checksum.
	if !strings.HasPrefix(b.String(), "\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7fK\"") {
		t.Errorf("begins with %x", b.Bytes()[:12])
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 5, 3))); err != nil {
		t.Fatal(err)
	}
	deltas := []float64{-1, -0.5, 0, 0, 0.25, 2}
	for _, err := range []error{
		e.Scalar("loss", 3, 0.5), e.Image("worst", 1, picture.Bytes()), e.Histogram("delta", 0, deltas), e.Histogram("flat", 0, []float64{4, 4}), e.Histogram("none", 0, nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if e.Image("broken", 1, []byte("no picture")) == nil {
		t.Error("what is no picture was written")
	}
	all := values(t, b.Bytes())
	if len(all) != 4 {
		t.Fatalf("%d values", len(all))
	}
	if string(all[0][valueTag][0].([]byte)) != "loss" || all[0][100][0].(uint64) != 3 || math.Float32frombits(all[0][valueSimple][0].(uint32)) != 0.5 {
		t.Errorf("scalar %v", all[0])
	}
	m := fields(t, all[1][valueImage][0].([]byte))
	if m[imageHeight][0].(uint64) != 3 || m[imageWidth][0].(uint64) != 5 || m[imageColors][0].(uint64) != 1 || !bytes.Equal(m[imageEncoded][0].([]byte), picture.Bytes()) {
		t.Errorf("image %v", m)
	}
	for k, want := range [][]float64{deltas, {4, 4}} {
		h := fields(t, all[2+k][valueHistogram][0].([]byte))
		number := func(f protowire.Number) float64 { return math.Float64frombits(h[f][0].(uint64)) }
		list := func(f protowire.Number) (out []float64) {
			for raw := h[f][0].([]byte); len(raw) > 0; raw = raw[8:] {
				out = append(out, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
			}
			return out
		}
		var sum, squares, counted float64
		for _, v := range want {
			sum, squares = sum+v, squares+v*v
		}
		limits, counts := list(histLimits), list(histCounts)
		for i, n := range counts {
			counted += n
			if i > 0 && limits[i] <= limits[i-1] {
				t.Errorf("limits %v", limits)
			}
			inside := 0.0
			for _, v := range want {
				if v <= limits[i] && (i == 0 || v > limits[i-1]) {
					inside++
				}
			}
			if inside != n {
				t.Errorf("bucket %d holds %v, want %v", i, n, inside)
			}
		}
		if number(histMin) != want[0] || number(histMax) != want[len(want)-1] || number(histNum) != float64(len(want)) || number(histSum) != sum ||
			number(histSquares) != squares || counted != float64(len(want)) || len(limits) != len(counts) {
			t.Errorf("histogram of %v: %v", want, h)
		}
	}
}
