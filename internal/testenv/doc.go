// Package testenv provides what tests need that is not Go: real servers and programs of other languages. install.sh
// installs them. A missing one fails the test that asks for it; no test is skipped.
package testenv
