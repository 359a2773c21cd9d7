/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

int in_c(int x);
int hidden_in_c(int x);
