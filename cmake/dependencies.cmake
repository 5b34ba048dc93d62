# Every library the project uses, all of them Debian 12 packages (scripts/deps
# installs them). Targets are referred to by these names only.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(absl REQUIRED)
find_package(gflags REQUIRED)
find_package(glog REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Boost 1.74 REQUIRED)      # header-only use: Asio, Beast
# Debian's cnats config refers to a static library that the package does not ship.
find_path(NATS_INCLUDE_DIR nats/nats.h REQUIRED)
find_library(NATS_LIBRARY nats REQUIRED)
add_library(cnats::nats UNKNOWN IMPORTED)
set_target_properties(cnats::nats PROPERTIES
  IMPORTED_LOCATION ${NATS_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${NATS_INCLUDE_DIR})
find_package(ZLIB REQUIRED)            # CRC-32
find_package(simdjson REQUIRED)

if(VARPULIS_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()

# ccache when present. base_dir makes a second checkout hit the same entries.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(launcher ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

# mold links the test programs several times faster than bfd.
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()
