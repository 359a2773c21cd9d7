/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

int spin(int n);
int calls_back(int n);
