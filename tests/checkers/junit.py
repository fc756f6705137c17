"""Reads a JUnit report by junitparser, and by Python's own XML parser, and prints what it has, a test a line."""

import sys
import xml.etree.ElementTree

import junitparser

path = sys.argv[1]
xml.etree.ElementTree.parse(path)
report = junitparser.JUnitXml.fromfile(path)
print(f"{report.tests} tests, {report.failures} failures, {report.errors} errors")
for suite in report:
    for case in suite:
        results = [f"{type(result).__name__} {result.type}: {result.message}" for result in case.result]
        print(f"{suite.name} | {case.name} | {', '.join(results) or 'passed'}")
