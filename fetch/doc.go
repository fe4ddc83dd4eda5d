// Package fetch downloads the data sets that package dataset reads by name, from where they are published, and checks them
// against their published checksums.
//
// Nothing is downloaded unless it is asked for, and a file appears under its name only when it is whole: it is written to a
// temporary name, checked, synced and renamed. What an interrupted download has got stays, and the next one goes on from
// there. Two downloads into one folder don't meet: the second is refused.
package fetch
