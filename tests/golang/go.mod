// SPDX-License-Identifier: Apache-2.0
module wick/tests/golang

go 1.18
