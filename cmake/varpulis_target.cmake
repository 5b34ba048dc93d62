# Targets of this project, so that warnings, sanitizers and the direction of
# dependencies are stated once.

add_library(varpulis_options INTERFACE)
target_include_directories(varpulis_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(varpulis_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-unused-parameter -Wno-missing-field-initializers
  -ffp-contract=off)                       # results are the same on every build
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(varpulis_options INTERFACE -Wthread-safety -Werror=thread-safety)
endif()
if(VARPULIS_SANITIZER)
  add_compile_options(-fsanitize=${VARPULIS_SANITIZER} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${VARPULIS_SANITIZER})
  if(VARPULIS_SANITIZER MATCHES "undefined")
    # Debian's rapidjson adds offsets to null pointers in empty containers.
    add_compile_options(-fno-sanitize-recover=undefined -fno-sanitize=pointer-overflow)
  endif()
endif()

# varpulis_library(NAME SRCS file... DEPS target...)
# DEPS lists everything the folder may include; a forbidden include does not link.
function(varpulis_library NAME)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${NAME} STATIC ${ARG_SRCS})
  target_link_libraries(${NAME} PUBLIC varpulis_options ${ARG_DEPS})
endfunction()

# varpulis_test(NAME SRCS file... DEPS target... LABELS label...)
# One test program per folder, registered once with CTest under its labels.
function(varpulis_test NAME)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS;LABELS" ${ARGN})
  add_executable(${NAME} ${ARG_SRCS})
  target_link_libraries(${NAME} PRIVATE varpulis_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  add_test(NAME ${NAME} COMMAND ${NAME} --gtest_brief=1)
  set_tests_properties(${NAME} PROPERTIES LABELS "${ARG_LABELS}")
endfunction()
