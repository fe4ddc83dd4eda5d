package export

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	_ "image/jpeg" // the formats of pictures
	_ "image/png"
	"io"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Events writes a TensorBoard event file: records in the TFRecord framing, each an Event message of TensorFlow
// (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto). Of these messages it knows the few fields that scalars, pictures and
// histograms take.
type Events struct {
	out  io.Writer
	wall float64
}

// EventFile is the name of an event file; TensorBoard looks for names that hold "tfevents".
const EventFile = "events.out.tfevents.0000000000.datadropout"

// Numbers of the fields that are written.
const (
	eventWallTime, eventStep, eventVersion, eventSummary        = 1, 2, 3, 5
	summaryValue                                                = 1
	valueTag, valueSimple, valueImage, valueHistogram           = 1, 2, 4, 5
	imageHeight, imageWidth, imageColors, imageEncoded          = 1, 2, 3, 4
	histMin, histMax, histNum, histSum, histSquares, histLimits = 1, 2, 3, 4, 5, 6
	histCounts                                                  = 7
)

// NewEvents begins a file. wall is the time that all events have, in seconds since 1970.
func NewEvents(out io.Writer, wall float64) (*Events, error) {
	e := &Events{out, wall}
	b := protowire.AppendTag(e.begin(0), eventVersion, protowire.BytesType)
	return e, e.record(protowire.AppendString(b, "brain.Event:2"))
}

// begin returns the fields that every event has; a step of 0 is left out, as everywhere in this encoding.
func (e *Events) begin(step int64) []byte {
	b := appendDouble(nil, eventWallTime, e.wall)
	if step == 0 {
		return b
	}
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

// Scalar writes a value of the tag at a step.
func (e *Events) Scalar(tag string, step int64, value float64) error {
	b := protowire.AppendTag(nil, valueSimple, protowire.Fixed32Type)
	return e.value(tag, step, protowire.AppendFixed32(b, math.Float32bits(float32(value))))
}

// Image writes an encoded picture, in PNG or another format that the package image knows, of the tag at a step.
func (e *Events) Image(tag string, step int64, encoded []byte) error {
	config, _, err := image.DecodeConfig(bytes.NewReader(encoded))
	if err != nil {
		return fmt.Errorf("picture %s: %w", tag, err)
	}
	colors := 3
	if config.ColorModel == color.GrayModel {
		colors = 1
	}
	var b []byte
	for _, f := range []struct {
		field protowire.Number
		value int
	}{{imageHeight, config.Height}, {imageWidth, config.Width}, {imageColors, colors}} {
		b = protowire.AppendTag(b, f.field, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(f.value))
	}
	b = protowire.AppendTag(b, imageEncoded, protowire.BytesType)
	b = protowire.AppendBytes(b, encoded)
	v := protowire.AppendTag(nil, valueImage, protowire.BytesType)
	return e.value(tag, step, protowire.AppendBytes(v, b))
}

// histogramBuckets is how many buckets of equal width a histogram has.
const histogramBuckets = 60

// Histogram writes the distribution of values, which are finite, of the tag at a step. No values are nothing to write.
func (e *Events) Histogram(tag string, step int64, values []float64) error {
	if len(values) == 0 {
		return nil
	}
	low, high := slices.Min(values), slices.Max(values)
	width := (high - low) / histogramBuckets
	limits, counts := make([]float64, histogramBuckets), make([]float64, histogramBuckets)
	for k := range limits {
		limits[k] = low + float64(k+1)*width
	}
	limits[histogramBuckets-1] = high
	if !(width > 0) { // all alike: one bucket that they lie in
		limits, counts = []float64{high}, []float64{0}
	}
	var sum, squares float64
	for _, v := range values {
		k, _ := slices.BinarySearchFunc(limits, v, cmp.Compare[float64])
		counts[min(k, len(counts)-1)]++
		sum, squares = sum+v, squares+v*v
	}
	var b []byte
	for _, f := range []struct {
		field protowire.Number
		value float64
	}{{histMin, low}, {histMax, high}, {histNum, float64(len(values))}, {histSum, sum}, {histSquares, squares}} {
		b = appendDouble(b, f.field, f.value)
	}
	b = appendDoubles(b, histLimits, limits)
	b = appendDoubles(b, histCounts, counts)
	v := protowire.AppendTag(nil, valueHistogram, protowire.BytesType)
	return e.value(tag, step, protowire.AppendBytes(v, b))
}

// value writes an event with a summary of one value.
func (e *Events) value(tag string, step int64, content []byte) error {
	v := protowire.AppendTag(nil, valueTag, protowire.BytesType)
	v = append(protowire.AppendString(v, tag), content...)
	s := protowire.AppendTag(nil, summaryValue, protowire.BytesType)
	s = protowire.AppendBytes(s, v)
	b := protowire.AppendTag(e.begin(step), eventSummary, protowire.BytesType)
	return e.record(protowire.AppendBytes(b, s))
}

// record writes a message in the TFRecord framing: its length, the checksum of the length, the message, the checksum of the message.
func (e *Events) record(message []byte) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(message)))
	b = binary.LittleEndian.AppendUint32(b, maskedChecksum(b))
	b = append(b, message...)
	b = binary.LittleEndian.AppendUint32(b, maskedChecksum(message))
	_, err := e.out.Write(b)
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedChecksum is the CRC-32C, rotated and shifted so that a checksum of data that hold checksums stays one (tensorflow/core/lib/hash/crc32c.h).
func maskedChecksum(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, math.Float64bits(v))
}

func appendDoubles(b []byte, field protowire.Number, values []float64) []byte {
	var packed []byte
	for _, v := range values {
		packed = protowire.AppendFixed64(packed, math.Float64bits(v))
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, packed)
}
